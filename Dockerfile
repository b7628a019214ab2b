FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /earshot ./cmd/earshot && mkdir /data

# The static binary, and an empty folder that its user may write to. Certificate authorities are linked in.
FROM scratch
COPY --from=build /earshot /earshot
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
WORKDIR /data
ENV EARSHOT_RECORD_DIR=/data/recordings
EXPOSE 8080
ENTRYPOINT ["/earshot"]
CMD ["run"]

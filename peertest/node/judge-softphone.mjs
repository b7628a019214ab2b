// The SIP judge: RingCentral's ringcentral-softphone, unchanged. It registers over TLS, answers CALLS calls (default 2), and
// counts every audio packet until each call's BYE.
//
// Settings are RingCentral's SIP_INFO_* variables. Standard output is one JSON object a line: {"event":"registered"}, then
// {"event":"answered"} and {"event":"ended", packets, missing, repeated, odd, seconds} for each call. Trust the server's
// authority with NODE_EXTRA_CA_CERTS.
import Softphone from "ringcentral-softphone";

const env = process.env;
const wanted = Number(env.CALLS ?? 2);
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

function fail(message) {
  console.error(message);
  process.exit(1);
}

const softphone = new Softphone({
  domain: env.SIP_INFO_DOMAIN,
  outboundProxy: env.SIP_INFO_OUTBOUND_PROXY,
  username: env.SIP_INFO_USERNAME,
  password: env.SIP_INFO_PASSWORD,
  authorizationId: env.SIP_INFO_AUTHORIZATION_ID,
  codec: "PCMU/8000",
});
softphone.client.on("error", (e) => fail(`TLS: ${e.message}`));
if (env.DEBUG_SIP) softphone.enableDebugMode();

// Counts by sequence number and timestamp: what is missing is as telling as what came.
class Counter {
  packets = 0;
  missing = 0;
  repeated = 0;
  odd = 0;
  #next = null;
  #nextTimestamp = 0;

  take({ header, payload }) {
    const { sequenceNumber: seq, timestamp } = header;
    if (this.#next !== null && seq !== this.#next) {
      const ahead = (seq - this.#next) & 0xffff;
      if (ahead > 0x8000) {
        this.repeated++;
        return;
      }
      this.missing += ahead;
    } else if (this.#next !== null && timestamp !== this.#nextTimestamp) {
      this.odd++; // the sender's clock jumped without a missing packet
    }
    if (payload.length !== 160) this.odd++;
    this.packets++;
    this.#next = (seq + 1) & 0xffff;
    this.#nextTimestamp = (timestamp + payload.length) >>> 0;
  }
}

let ended = 0;
softphone.on("invite", async (invite) => {
  const counter = new Counter();
  const ids = invite.getHeader("p-rc-api-monitoring-ids") ?? invite.getHeader("p-rc-api-ids") ?? "";
  try {
    const call = await softphone.answer(invite);
    const start = Date.now();
    tell("answered", { ids });
    call.on("audioPacket", (packet) => counter.take(packet));
    call.on("disposed", () => {
      tell("ended", {
        ids,
        packets: counter.packets,
        missing: counter.missing,
        repeated: counter.repeated,
        odd: counter.odd,
        seconds: (Date.now() - start) / 1000,
      });
      if (++ended === wanted) {
        softphone.revoke();
        process.exit(0);
      }
    });
  } catch (e) {
    fail(`answer: ${e.stack}`);
  }
});

setTimeout(() => fail("time is up"), Number(env.LIMIT_SECONDS ?? 120) * 1000).unref();
try {
  await softphone.register();
  tell("registered");
} catch (e) {
  fail(`register: ${e.message}`);
}

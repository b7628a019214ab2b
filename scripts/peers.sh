#!/usr/bin/env bash
# peers.sh install: the programs that the tests in peertest call, as far as they are missing.
# peers.sh check:   says what is missing.
#
# Debian packages need root; npm modules go to peertest/node/node_modules, versitygw to the user's cache. With CI=true anything left missing is a failure,
# else the tests that need it skip.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"

# program=package
programs=(
  sipp=sip-tester kamailio=kamailio baresip=baresip-core sox=sox ffmpeg=ffmpeg ip=iproute2 iptables=iptables openssl=openssl
  tshark=tshark xxd=xxd curl=curl python3=python3 node=nodejs npm=npm gcc=gcc age=age mkfs.ext4=e2fsprogs mount=mount
)

missing() {
  local p
  for p in "${programs[@]}"; do
    command -v "${p%%=*}" >/dev/null || echo "${p#*=}"
  done
  # Kamailio's TLS is a package of its own.
  compgen -G '/usr/lib/*/kamailio/modules/tls.so' >/dev/null || echo kamailio-tls-modules
  # The race detector links against the C library.
  compgen -G '/usr/include/*/sys/types.h' >/dev/null || [ -e /usr/include/sys/types.h ] || echo libc6-dev
}

give_up() {
  echo "peers.sh: $1" >&2
  if [ "${CI:-}" = true ]; then exit 1; fi
  exit 0
}

install_packages() {
  local packages policy=/usr/sbin/policy-rc.d made=
  mapfile -t packages < <(missing)
  [ ${#packages[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || give_up "no apt-get here; the tests that need them skip. Debian's names: ${packages[*]}"
  [ "$(id -u)" = 0 ] || give_up "not root; the tests that need them skip. As root: apt-get install ${packages[*]}"
  # No service of these packages shall start itself.
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy && made=1; fi
  export DEBIAN_FRONTEND=noninteractive
  local ok=1
  { apt-get update -q && apt-get install -y -q --no-install-recommends "${packages[@]}"; } >&2 || ok=
  if [ -n "$made" ]; then rm -f $policy; fi
  [ -n "$ok" ] || give_up "apt-get could not install ${packages[*]}"
}

install_modules() {
  command -v npm >/dev/null || give_up "no npm: the tests of RingCentral's SDKs skip"
  local dir=peertest/node
  if [ $dir/node_modules/.package-lock.json -nt $dir/package-lock.json ]; then return 0; fi
  (cd $dir && npm ci --ignore-scripts --no-audit --no-fund >&2) || give_up "npm could not install the modules of $dir"
}

# An S3 server for the tests of the vault. It takes minutes to build, so it is kept outside the tree, by its version.
install_versitygw() {
  local version=v1.8.0 dir
  dir=${XDG_CACHE_HOME:-$HOME/.cache}/earshot/versitygw-$version
  [ ! -x "$dir/versitygw" ] || return 0
  mkdir -p "$dir.tmp"
  GOBIN=$dir.tmp GOFLAGS=-mod=mod go install github.com/versity/versitygw/cmd/versitygw@$version >&2 || give_up "versitygw could not be built: the tests of the vault skip"
  mkdir -p "$dir"
  mv "$dir.tmp/versitygw" "$dir/versitygw"
  rm -rf "$dir.tmp"
}

case ${1:-} in
install)
  install_packages
  install_modules
  install_versitygw
  ;;
check)
  missing
  ;;
*)
  echo "usage: scripts/peers.sh install|check" >&2
  exit 2
  ;;
esac

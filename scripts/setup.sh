#!/usr/bin/env bash
# Makes a fresh clone ready: installs what the machine lacks, then builds. Each step first looks whether
# it is needed, so a second run only looks.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(cmake ninja-build g++ libhwy-dev libprotozero-dev rapidjson-dev libgtest-dev
  libbenchmark-dev clang-format clang-tidy chromium python3-onnx)
# An emsdk on the PATH is newer than the distribution's.
if ! command -v em++ >/dev/null || [[ $(command -v em++) == /usr/bin/em++ ]]; then
  packages+=(emscripten)
fi
tools=(cmake ninja em++ c++ clang-format clang-tidy)
if [[ ${1-} == --fuzz ]]; then
  packages=(cmake ninja-build clang libclang-rt-dev g++-multilib libhwy-dev libprotozero-dev rapidjson-dev)
  tools=(cmake ninja clang++)
fi

say() { printf '\033[2m[setup]\033[0m %s\n' "$*" >&2; }

node_major=$(node -p 'process.versions.node.split(".")[0]')
if ((node_major < 20)); then
  say "Node.js 20 or newer is needed; this is $(node --version)."
  exit 1
fi

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  local root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      say "Install as root: apt-get install ${missing[*]}"
      exit 1
    fi
    root=(sudo)
  fi
  say "installing ${missing[*]}"
  local get=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0)
  local log=build/apt.log
  mkdir -p build
  # The lists may be absent (a fresh container) or older than the mirror; only then are they fetched.
  "${get[@]}" install --no-install-recommends "${missing[@]}" >"$log" 2>&1 ||
    { "${get[@]}" update >"$log" 2>&1 &&
      "${get[@]}" install --no-install-recommends "${missing[@]}" >>"$log" 2>&1; } ||
    { cat "$log" >&2; exit 1; }
}

check_tools() {
  local missing=() tool
  for tool in "${tools[@]}"; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]})) || return 0
  say "Missing: ${missing[*]}"
  say "Install CMake, Ninja, a C++20 compiler, Emscripten (emsdk), Google Highway, protozero, RapidJSON,"
  say "GoogleTest, Google Benchmark, clang-format, clang-tidy, Chromium and Python's onnx with this system's"
  say "package manager (Debian's names: ${packages[*]}), then run again."
  exit 1
}

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
  install_packages
else
  check_tools
fi
[[ ${1-} != --fuzz ]] || exit 0

if [[ ! node_modules/.package-lock.json -nt package-lock.json ]]; then
  say "npm ci"
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi

node scripts/build.mjs

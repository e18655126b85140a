#!/usr/bin/env bash
# setup.sh STEP: makes a fresh clone ready for `npm run STEP`: installs what the machine lacks. It first looks
# whether anything is missing, so a second run only looks.
set -euo pipefail
cd "$(dirname "$0")/.."
step=${1:?the name of an npm script}

# What builds the package.
packages=(cmake ninja-build libhwy-dev libprotozero-dev rapidjson-dev)
tools=(cmake ninja)
names="CMake, Ninja, Google Highway, protozero, RapidJSON"

fuzz=(clang libclang-rt-dev llvm g++-multilib)
style=(g++ clang-format clang-tidy)
case $step in
  test)
    packages+=("${style[@]}" "${fuzz[@]}" libgtest-dev chromium python3-onnx)
    tools+=(c++ clang++ clang-format clang-tidy chromium)
    names+=", a C++20 compiler, Clang with its sanitizers for 64 and 32 bits, clang-format, clang-tidy, GoogleTest,"
    names+=" Chromium and Python's onnx"
    ;;
  lint)
    packages+=("${style[@]}")
    tools+=(c++ clang-format clang-tidy)
    names+=", a C++20 compiler, clang-format and clang-tidy"
    ;;
  fuzz)
    packages+=("${fuzz[@]}")
    tools+=(clang++)
    names+=", Clang with its sanitizers for 64 and 32 bits"
    ;;
  bench)
    packages+=(g++ libbenchmark-dev python3-numpy libopenblas0)
    tools+=(c++)
    names+=", a C++20 compiler, Google Benchmark and NumPy with OpenBLAS"
    ;;
esac
if [[ $step != fuzz ]]; then
  tools+=(em++)
  names+=", Emscripten (emsdk)"
  # An emsdk on the PATH is newer than the distribution's.
  em=$(command -v em++ || true)
  [[ -n $em && $em != /usr/bin/em++ ]] || packages+=(emscripten)
fi

say() {
  if [[ -t 2 && -z ${NO_COLOR:-} ]]; then printf '\033[2m[setup]\033[0m %s\n' "$*" >&2
  else printf '[setup] %s\n' "$*" >&2; fi
}

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
  say "Install $names with this system's package manager (Debian's names: ${packages[*]}), then run again."
  exit 1
}

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
  install_packages
else
  check_tools
fi

# Fuzzing needs no packages of npm.
if [[ $step != fuzz && ! node_modules/.package-lock.json -nt package-lock.json ]]; then
  say "npm ci"
  # Packages that are only tested with want to download more when they are installed.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi

# shellcheck shell=bash
# What the scripts share: words, and a lab (namespaces, processes, folders) that is undone when the script ends, in
# whatever way it ends. To be sourced by a script that runs with `set -euo pipefail`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    BOLD=$'\e[1m' GREEN=$'\e[32m' RED=$'\e[31m' DIM=$'\e[2m' PLAIN=$'\e[0m'
else
    BOLD='' GREEN='' RED='' DIM='' PLAIN=''
fi

# say WORDS: a line for the reader.
say() { printf '%s\n' "$*"; }

# heading WORDS: a line that opens a part.
heading() { printf '%s%s%s\n' "$BOLD" "$*" "$PLAIN"; }

# die WORDS: why the script cannot go on, and its end.
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# usage: the comment at the head of the calling script, as its --help.
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

# need_root: namespaces, taps and packages want root.
need_root() { [ "$(id -u)" -eq 0 ] || die "needs root (network namespaces and tap devices): run it with sudo"; }

# seconds_since START: with one decimal; START is a value of EPOCHREALTIME.
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

# find_cargo: cargo is on the PATH, also under sudo, which drops ~/.cargo/bin, and new enough.
find_cargo() {
    command -v cargo >/dev/null || look_for_cargo
    local oldest version
    oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")
    version=$(cargo --version | cut -d ' ' -f 2) || die "cargo does not run: is a Rust toolchain installed?"
    [ "$(printf '%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ] ||
        die "cargo $version is too old: install Rust $oldest or newer, for instance from https://rustup.rs"
}

# look_for_cargo: puts its folder on the PATH, wherever rustup or an image of it may have put it.
look_for_cargo() {
    local home=${SUDO_USER:+$(getent passwd "$SUDO_USER" | cut -d: -f6)} own=${HOME:-/root} dir
    for dir in "${home:-$own}/.cargo/bin" "$own/.cargo/bin" /usr/local/cargo/bin; do
        if [ -x "$dir/cargo" ]; then
            PATH=$dir:$PATH
            if [ -n "$home" ] && [ "$dir" = "$home/.cargo/bin" ]; then
                export RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup} CARGO_HOME=${CARGO_HOME:-$home/.cargo}
            fi
            return
        fi
    done
    die "cargo is not here: install a Rust toolchain, for instance from https://rustup.rs"
}

# The lab: what was made, in the order of its making, and functions that undo what else was done.
LAB_NETNS=()
LAB_PIDS=()
LAB_DIRS=()
LAB_UNDO=()

# lab_begin: from here on, whatever the lab makes is unmade when the script ends. What a lab that was killed made is unmade now.
lab_begin() {
    lab_sweep
    trap lab_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# lab_sweep: takes away the namespaces and folders of labs whose scripts are no more.
lab_sweep() {
    local left pid
    for left in "${TMPDIR:-/tmp}"/pollcast-lab-*; do
        pid=${left##*/pollcast-lab-}
        [ ! -O "$left" ] || [ -e "/proc/${pid%%-*}" ] || rm -rf "$left"
    done
    for left in /run/netns/pc-*-*; do
        pid=${left##*/pc-}
        [ ! -O "$left" ] || [ -e "/proc/${pid%%-*}" ] || ip netns del "${left##*/}" || true
    done
}

# lab_end: ends the processes, then removes the namespaces and folders. The script's exit status stays.
lab_end() {
    local status=$? pid netns dir undo
    trap - EXIT
    trap '' INT TERM HUP
    for pid in "${LAB_PIDS[@]}"; do lab_stop "$pid" >/dev/null || true; done
    for netns in "${LAB_NETNS[@]}"; do ip netns del "$netns" 2>/dev/null || true; done
    for undo in "${LAB_UNDO[@]}"; do "$undo" || true; done
    for dir in "${LAB_DIRS[@]}"; do rm -rf "$dir"; done
    exit "$status"
}

# lab_netns VARIABLE: makes a namespace with a name of its own, without IPv6 and its chatter.
lab_netns() {
    local name="pc-$$-${#LAB_NETNS[@]}"
    ip netns add "$name"
    LAB_NETNS+=("$name")
    printf -v "$1" '%s' "$name"
    ip netns exec "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    ip -n "$name" link set lo up
}

# lab_dir VARIABLE: makes a temporary folder.
lab_dir() {
    local dir
    dir=$(mktemp -d -t "pollcast-lab-$$-XXXXXX")
    LAB_DIRS+=("$dir")
    printf -v "$1" '%s' "$dir"
}

# lab_spawn VARIABLE COMMAND...: starts it in the background; its process id goes to VARIABLE. It has a process group of
# its own: Ctrl-C is for this script, which then ends it in peace.
lab_spawn() {
    local variable=$1
    shift
    set -m
    "$@" &
    set +m
    LAB_PIDS+=($!)
    printf -v "$variable" '%s' "$!"
}

# lab_stop PID: SIGTERM, five seconds of grace, SIGKILL. Its status is the process's.
lab_stop() {
    local pid=$1 status=0 tenths
    kill -TERM "$pid" 2>/dev/null || true
    for ((tenths = 0; tenths < 50; tenths++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || status=$?
    return "$status"
}

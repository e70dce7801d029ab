#!/usr/bin/env bash
# Does what the guide's first chapter and the README tell a newcomer to do, word for word: the files, the commands and what they
# print are taken out of the texts, so that the texts cannot say what is not so. It makes crates of its own outside of the
# workspace, and removes them.
#
# A block of a text that is to be done stands below a comment:
#   <!-- newcomer: write FILE -->, append FILE   the block is the file, or is added to it
#   <!-- newcomer: run -->                       lines that begin with `$ ` are commands; those below are what they print
#   <!-- newcomer: start -->                     a command that goes on, and says when it is ready by its first line
#   <!-- newcomer: service -->                   nothing is in the text: a service that accepts each request
# Of what is printed, times are not compared, nor how many spaces there are; `…` stands for any number of lines.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

# Where tests/outside.rs has built the same dependencies already.
export CARGO_TARGET_DIR="$root/target/tmp/outside"
export CARGO_TERM_QUIET=true CARGO_TERM_COLOR=never PYTHONUNBUFFERED=1
work=$(mktemp -d)
server=
busy=
clean_up() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    printf 'newcomer: %s\n' "$*" >&2
    exit 1
}

if ! command -v python3 >/dev/null; then
    [ -z "${CI:-}" ] || [ "$CI" = false ] || fail "python3 is not installed, and is the server of the first chapter"
    echo "SKIPPED: python3 is not installed, and is the server of the first chapter"
    exit
fi

# The steps of a text, in their order: $1/NN.step has the verb and the file, $1/NN.block what the block says.
take_out() {
    awk -v to="$1" '
        /^<!-- newcomer: .* -->$/ {
            step = substr($0, 16, length($0) - 19)
            name = sprintf("%s/%02d", to, ++count)
            print step > (name ".step")
            printf "" > (name ".block")
            next
        }
        /^```/ { if (inside) { inside = 0; step = "" } else if (step != "" && step != "service") inside = 1; next }
        inside { print > (name ".block") }
    ' "$2"
}

# What is compared of a line: no times, and one space for several. Of a machine that is too busy no verdict either.
comparable() {
    sed -E 's/[0-9]+(\.[0-9]+)? ?(ns|µs|ms|s|min)\>/TIME/g; s/[ \t]+/ /g; s/ $//; s/^ …$/…/' |
        if [ -z "$busy" ]; then cat; else
            sed -E 's/^([a-z_]+): (passed|failed|generator limited) in TIME.*/\1: some verdict/; s/^exit code [013]$/some exit code/'
        fi
}

# Whether what was printed ($2) is what the text says ($1).
same() {
    comparable <"$1" >"$work/expected"
    comparable <"$2" >"$work/actual"
    awk '
        NR == FNR { expected[++count] = $0; next }
        {
            if (at + 1 <= count && expected[at + 1] == "…") { gap = 1; at++ }
            if (at + 1 <= count && expected[at + 1] == $0) { at++; gap = 0 }
            else if (!gap) { printf "line %d is not as the text says: %s\n", FNR, $0; failed = 1; exit }
        }
        END {
            if (failed) exit 1
            while (at + 1 <= count && expected[at + 1] == "…") at++
            if (at < count) { printf "not printed: %s\n", expected[at + 1]; exit 1 }
        }
    ' "$work/expected" "$work/actual"
}

# One command, in this shell, since it may be `cd`; $2 is what it should print. A machine that was too busy to start journeys in
# time is told so by mite, and has another two tries; after that all is compared but the verdict, which is then the machine's.
run() {
    local status try
    for try in 1 2 3; do
        printf '$ %s\n' "$1"
        # What an earlier try has recorded is not what the text counts.
        [ $try = 1 ] || rm -rf recorder-data
        status=0
        busy=
        eval "$1" >"$work/printed" 2>&1 </dev/null || status=$?
        cat "$work/printed"
        grep -q '^[a-z_]*: generator limited in ' "$work/printed" || break
        busy=yes
        printf 'newcomer: BUSY: this machine did not let mite start journeys in time\n'
    done
    [ $status = 0 ] || { [ $status = 3 ] && [ -n "$busy" ]; } || fail "\`$1\` ended with $status"
    same "$2" "$work/printed" || fail "\`$1\` prints something else than the text says"
    # The versions that the workspace has: nothing else need be downloaded.
    if [ -f Cargo.toml ] && [ ! -f Cargo.lock ]; then cp "$root/Cargo.lock" .; fi
}

# The commands of a block, each with what stands below it.
run_all() {
    local line command=
    : >"$work/says"
    while IFS= read -r line <&4 || [ -n "$line" ]; do
        case $line in
        '$ '*)
            [ -z "$command" ] || run "$command" "$work/says"
            command=${line#'$ '}
            : >"$work/says"
            ;;
        *) printf '%s\n' "$line" >>"$work/says" ;;
        esac
    done 4<"$1"
    [ -n "$command" ] || fail "a block without a command"
    run "$command" "$work/says"
}

start() {
    printf '$ %s &\n' "$1"
    exec 3< <(eval "exec $1" 2>"$work/server.log")
    server=$!
    IFS= read -r -t 30 <&3 || { cat "$work/server.log" >&2; fail "\`$1\` did not start"; }
}

# Accepts each request, and says nothing.
cat >"$work/service.py" <<'PYTHON'
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Accepting(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


service = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Accepting)
print("ready")
service.serve_forever()
PYTHON

# Does what a text says, in a folder of its own, with the repository beside it.
follow() {
    local text=$1 folder=$2 port step file block
    printf '\n== %s\n' "$text"
    mkdir "$work/$folder" "$work/$folder.steps"
    take_out "$work/$folder.steps" "$root/$text"
    cd "$work/$folder"
    ln -s "$root" mite
    # 8080 may be taken.
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    sed -i "s/\b8080\b/$port/g" "$work/$folder.steps"/*.block
    for block in "$work/$folder.steps"/*.block; do
        read -r step file <"${block%.block}.step" || true
        case $step in
        write) cp "$block" "$file" ;;
        append)
            # `cargo new` leaves an empty table at the end, which the block has too.
            [ "$file" != Cargo.toml ] || sed -i '/^\[dependencies\]$/d' Cargo.toml
            cat "$block" >>"$file"
            ;;
        run) run_all "$block" ;;
        start) start "$(sed -n 's/^\$ //p' "$block")" ;;
        service) start "python3 '$work/service.py' $port" ;;
        *) fail "$text: \`$step\` is no step" ;;
        esac
    done
    if [ -n "$server" ]; then
        kill "$server"
        server=
    fi
}

follow docs/src/first-journey.md guide
follow README.md readme
printf '\nAll is as the texts say.\n'

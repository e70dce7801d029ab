#!/usr/bin/env bash
# Installs what `cargo bench --bench versus` compares mite with, as far as it can be had, and says what cannot. What is not a
# package of Debian goes into target/peers: removing that folder undoes it. It takes some minutes; JOBS says how many compilers run.
set -uo pipefail
cd "$(dirname "$0")/.."

target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/') || exit
peers="$target/peers"
jobs=${JOBS:-$(nproc)}
failed=()

have() {
    PATH="$peers/bin:$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null
}

# attempt NAME COMMAND...: goes on when it fails, and remembers.
attempt() {
    local name=$1
    shift
    printf '\n== %s\n' "$*"
    "$@" || failed+=("$name")
}

# package PROGRAM PACKAGE...: from Debian, where that is what this is.
package() {
    local program=$1
    shift
    have "$program" && return
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        attempt "$program" apt-get install --yes --no-install-recommends "$@"
    else
        failed+=("$program (as root: apt-get install $*)")
    fi
}

python_mite() {
    python3 -m venv "$peers/python" && "$peers/python/bin/pip" install --quiet mite==2.11.0
}

if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    attempt "the list of packages" apt-get update --quiet
fi
package nginx nginx-light
package wrk wrk
package h2load nghttp2-client
# Python's mite builds its client against these.
package curl-config libcurl4-openssl-dev build-essential

have oha || attempt oha cargo install oha --version 1.16.0 --locked --jobs "$jobs" --root "$peers" --target-dir "$peers/build"
have goose-peer ||
    attempt goose cargo install --path benches/peers/goose --locked --jobs "$jobs" --root "$peers" --target-dir "$peers/build"
[ -x "$peers/python/bin/mite" ] || attempt "Python's mite" python_mite

echo
for name in "${failed[@]}"; do
    echo "NOT INSTALLED: $name"
done
if [ ${#failed[@]} = 0 ]; then
    echo "All are installed; those that are no packages are in $peers."
fi

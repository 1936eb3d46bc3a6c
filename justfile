# Every command that one types; CI calls the same ones.

shared := env("SOCKETHOUND_SHARED", "../shared")
program := "target/release/sockethound"
targets := "files dissect dns flows tls quic later http openings"
bpf := "crates/capture/src/bpf"
# Fuzzing needs a nightly compiler, or a stable one that is told to behave as such.
fuzz := "./.ci/fuzz"

# What runs before every commit.
check: lint test deny

# Formatting, then every lint as an error.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Every test; the seeds of the fuzz targets are replayed too.
test:
    cargo test --workspace

build:
    cargo build --release

# Scores every public capture against tshark's answers, both ways of counting.
corpus: build
    python3 {{shared}}/corpus/compare.py --cmd '{{program}} -r {file} --json' --out target/corpus.json --floor crates/sockethound/tests/corpus-floor.json
    python3 {{shared}}/corpus/compare.py --cmd '{{program}} -r {file} --json --no-decap' --outer --out target/corpus-outer.json --floor crates/sockethound/tests/corpus-floor-outer.json

# Licences, banned crates and sources of the dependency tree. Advisories need a database from the network: `cargo deny check`.
deny:
    cargo deny --workspace check bans licenses sources

# Writes the seeds that fuzzing begins with.
fuzz-seeds:
    cargo run --quiet -p sockethound-fuzz --bin seeds

# Fuzzes each target for SECONDS, as many at a time as there are processors.
fuzz SECONDS="60": fuzz-seeds
    {{fuzz}} {{SECONDS}} {{targets}}

# Builds the programs that run in the kernel, into FOLDER; takes clang, llvm and libbpf-dev. Debian 12's clang 14 gives the
# very bytes that are committed.
bpf FOLDER=bpf:
    #!/usr/bin/env bash
    set -euo pipefail
    mkdir -p {{FOLDER}}
    folder=$(realpath {{FOLDER}})
    cd {{bpf}}
    for source in *.bpf.c; do
        object=$folder/${source%.c}.o
        clang -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-missing-declarations -ffile-prefix-map="$PWD"=. \
            -isystem "/usr/include/$(uname -m)-linux-gnu" -c "$source" -o "$object"
        llvm-strip -g "$object"
    done

# Whether the committed programs are those of the sources, byte for byte.
bpf-check: (bpf "target/bpf")
    for object in {{bpf}}/*.bpf.o; do cmp $object target/bpf/$(basename $object) || exit; done

# Shows the manual page.
man: build
    {{program}} man | man -l -

# Records and builds the fixtures anew; needs root.
fixtures:
    mkdir -p target/fixtures
    fixtures/record.sh target/fixtures
    fixtures/build.py target/fixtures
    fixtures/hellos.sh target/fixtures
    fixtures/requests.sh target/fixtures

# Every command that one types; CI calls the same ones.

shared := env("SOCKETHOUND_SHARED", "../shared")
program := "target/release/sockethound"
targets := "files dissect dns flows tls quic later http openings"
# Fuzzing needs a nightly compiler, or a stable one that is told to behave as such.
fuzz := "./.ci/fuzz"

# What runs before every commit.
check: lint test deny

# Formatting, then every lint as an error.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cd fuzz && cargo fmt --check && cargo clippy --no-default-features --all-targets -- -D warnings

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

# Replays every seed on any toolchain.
fuzz-replay:
    cd fuzz && cargo test --no-default-features

# Writes the seeds that fuzzing begins with.
fuzz-seeds:
    cd fuzz && cargo run --quiet --no-default-features --bin seeds

# Fuzzes each target for SECONDS.
fuzz SECONDS="60": fuzz-seeds
    for target in {{targets}}; do {{fuzz}} $target {{SECONDS}} || exit; done

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

# What people type. Each recipe is one line onto cargo; `just --list` shows them.

# Build everything and watch mail arrive in a charm, on this machine alone.
demo *args:
    cargo demo -- {{args}}

# Build what is needed and test everything.
test *args:
    cargo verify {{args}}

# Turn every guest into dist/<name>.wasm.
build-integrations *args:
    cargo guests {{args}}

# The service: poll the registered charms.
run *args:
    cargo host run {{args}}

# The local charm runtime over HTTP, on 127.0.0.1:8000.
serve *args:
    cargo host serve {{args}}

# The service with the Gmail integration.
gmail *args: build-integrations
    cargo host run --component dist/gmail.wasm {{args}}

# The service with the Google Calendar integration.
gcal *args: build-integrations
    cargo host run --component dist/gcal.wasm {{args}}

# Prepare what every first-party integration needs, and poll once.
initialize *args: build-integrations
    cargo host run --component dist/gmail.wasm --component dist/gcal.wasm --initialize --once {{args}}

# The same for Gmail alone.
initialize-gmail *args: build-integrations
    cargo host run --component dist/gmail.wasm --initialize --once {{args}}

# The same for Google Calendar alone.
initialize-gcal *args: build-integrations
    cargo host run --component dist/gcal.wasm --initialize --once {{args}}

# Format the code.
fmt:
    cargo fmt --all

# Lint the code; a warning is an error.
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Hold dependencies to deny.toml.
deny:
    .ci/deny

# Type-check everything.
check:
    cargo check --workspace --all-targets

# Measure what polls cost, from the loop alone to a hundred thousand charms; takes more than an hour. `just bench poll` is a part of it.
bench *args:
    cargo bench --bench loop --bench poll -- {{args}}

# Fuzz every target for 20 s, or as said: `just fuzz [seconds [target…]]`.
fuzz *args:
    tests/fuzz/run {{args}}

# Besiege the server with every attack at once, for five minutes, and measure what polls and the operator get meanwhile.
siege *args:
    cargo bench --bench siege -- {{args}}

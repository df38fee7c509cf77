# The recipes of the house. CI runs the same ones.
.PHONY: run check fix test parts oracle bench fuzz clean-data

run: ## every role in one process, on ./varve-data
	cargo run --release

check: ## what CI checks before it tests; edits nothing
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

fix: ## format, and apply what clippy can
	cargo fmt --all
	cargo clippy --release --workspace --all-targets --fix --allow-dirty

parts: ## the real servers and clients that the tests use
	bash tests/install-parts.sh

test: ## everything; parts that are not installed are skipped loudly
	cargo test --release --workspace

bench: ## the chunk codec on real scrape data (VARVE_SCRAPE_DATA)
	cargo bench -p varve-benches

clean-data: ## forget what `make run` has stored
	rm -rf varve-data

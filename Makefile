# Thin: each rule names the script or the CMake preset that does the work.
#   make              build (build/release/s2a)         make demo      set up, fetch a model, show it
#   make lab          s2a-lab, too: eval and bench
#   make check        everything that CI runs           make test      build and run the fast tests
#   make install      PREFIX=/usr/local DESTDIR=        make format    clang-format
#   make dist         packages, in build/dist (docs/install.md)
#   make coverage | fuzz (FUZZ_SECONDS=15) | valgrind | clean
.POSIX:
PREFIX = /usr/local
DESTDIR =
FUZZ_SECONDS = 15

all: build/release/build.ninja
	@cmake --build --preset release

build/release/build.ninja:
	@cmake --preset release

lab:
	@scripts/bootstrap.sh --dev
	@cmake --preset release -DS2A_LAB=ON
	@cmake --build --preset release

demo:
	@scripts/bootstrap.sh --minimal
	@$(MAKE) all
	@scripts/demo.sh

check:
	@scripts/bootstrap.sh --dev
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/check.sh

test:
	@scripts/configure.sh release
	@cmake --build --preset release
	@ctest --preset release -L '^(unit|wire|cli|lab)$$' -j2

install: all
	@DESTDIR='$(DESTDIR)' cmake --install build/release --prefix '$(PREFIX)'

dist:
	@scripts/bootstrap.sh --dist
	@scripts/dist.sh

coverage:
	@scripts/bootstrap.sh --dev
	@scripts/coverage.sh

fuzz:
	@scripts/bootstrap.sh --dev
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz.sh

valgrind:
	@scripts/bootstrap.sh --dev
	@scripts/valgrind.sh

format:
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

clean:
	@rm -rf build

.PHONY: all lab demo check test install dist coverage fuzz valgrind format clean

#!/usr/bin/env bash
# Runs the C++ and the Python tests under a sanitizer: sanitized.sh asan|tsan [pytest argument...]
#
# The module is built with the preset of that name into an environment of its own. The interpreter
# itself is not sanitized, so the sanitizer's runtime has to be loaded before it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
sanitizer="${1:-}"
case "$sanitizer" in
  asan | tsan) shift ;;
  *)
    echo "usage: scripts/sanitized.sh asan|tsan [pytest argument...]" >&2
    exit 2
    ;;
esac
folder="$PWD/build/sanitized/$sanitizer"
python="$folder/venv/bin/python"
compiler="${CXX:-c++}"

if [ ! -f "$folder/made" ]; then
  rm -rf "$folder"
  "$(.venv/bin/python -c 'import sys; print(sys._base_executable)')" -m venv "$folder/venv"
  # The rest comes from .venv; what is installed here is found first. The runtime is for Python
  # alone: other programs that tests start, such as curl, may hang with it. So a Python that starts
  # forgets it, and knows itself by the name of the wrapper below, which loads it again.
  {
    .venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
    echo "import os, sys; os.environ.pop('LD_PRELOAD', None);" \
      "sys.executable = os.environ.get('SANITIZED_PYTHON', sys.executable)"
  } >"$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/sanitized.pth"
  touch "$folder/made"
fi
"$python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation \
  --force-reinstall --config-settings=cmake.args="--preset=$sanitizer" \
  --config-settings=cmake.build-type=RelWithDebInfo --config-settings=install.strip=false \
  --config-settings=build-dir="$folder/tree" --config-settings=editable.rebuild=false --editable .

# Stop at the first report, with a status that no test runner takes for a pass. Reports go to files,
# since pytest captures what a test writes and cannot show it once the process is gone.
reports="$folder/reports"
rm -rf "$reports"
mkdir "$reports"
common="log_path='$reports/report'"
export ASAN_OPTIONS="$common:abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1"
export LSAN_OPTIONS="suppressions='$PWD/scripts/lsan.supp':print_suppressions=0"
export UBSAN_OPTIONS="$common:abort_on_error=1:print_stacktrace=1"
export TSAN_OPTIONS="$common:halt_on_error=1:suppressions='$PWD/scripts/tsan.supp'"
# Python's own allocator would hide from the sanitizer which object a byte belongs to.
export PYTHONMALLOC=malloc

# ThreadSanitizer cannot place its shadow memory under every kernel's address randomisation.
launch=()
if [ "$sanitizer" = tsan ] && command -v setarch >/dev/null; then
  launch=(setarch "$(uname -m)" -R)
fi

show_reports() {
  local status=$?
  if [ -n "$(ls -A "$reports")" ]; then
    cat "$reports"/*
    echo "$sanitizer: reports in $reports" >&2
    [ "$status" -ne 0 ] || status=1
  fi
  exit "$status"
}
trap show_reports EXIT

${launch[@]+"${launch[@]}"} ctest --test-dir "$folder/tree" --output-on-failure --no-tests=error

# The C++ runtime too, or the sanitizer finds no exceptions to intercept.
preload="$("$compiler" "-print-file-name=lib$sanitizer.so"):$("$compiler" -print-file-name=libstdc++.so)"
export SANITIZED_PYTHON="$folder/python"
printf '#!/bin/sh\nLD_PRELOAD="%s" exec "%s" "$@"\n' "$preload" "$python" >"$SANITIZED_PYTHON"
chmod +x "$SANITIZED_PYTHON"
# Sanitizers keep freed memory and shadows of all of it, so how much is in use says nothing. They
# take a crash that a test wants for one of ours, and cannot look for leaks in a process that became
# another user's or whose environment is not theirs. The wrapper's shell has its own word to say
# about a folder that is gone. ThreadSanitizer supports no threads that start after a fork. Greenlets
# change stacks under both. What the documentation says adds browsers and proxies, and no C++.
${launch[@]+"${launch[@]}"} "$SANITIZED_PYTHON" -m pytest \
  --ignore tests/docs \
  --deselect tests/engines/test_big_bodies.py \
  --deselect tests/engines/test_http2_memory.py::test_content_that_waits_is_counted_in_however_small_pieces \
  --deselect tests/engines/test_idle_memory.py \
  --deselect tests/engines/test_memory_strangers.py \
  --deselect tests/engines/test_spooled_bodies.py::test_45_mb_in_chunks_arrive_unharmed_in_little_memory \
  --deselect tests/engines/test_spooled_bodies.py::test_bodies_that_stop_hold_little_memory \
  --deselect tests/engines/test_supervisor.py::test_a_crashed_worker_is_replaced_and_its_end_explained \
  --deselect tests/engines/test_supervisor.py::test_files_that_somebody_else_may_not_remove_cut_no_request \
  --deselect tests/engines/test_systemd.py::test_it_is_started_by_the_first_connection \
  --deselect tests/engines/test_lifecycle.py::test_a_thousand_starts_and_stops_leave_nothing_behind \
  --deselect tests/engines/test_patched_applications.py \
  --deselect tests/gunicorn/test_gunicorn_patches.py \
  --deselect tests/contrib/test_flask_entry_point.py::test_other_commands_import_next_to_nothing \
  --deselect tests/python/command/test_cli.py::test_a_source_tree_that_is_not_built_says_what_to_do \
  --deselect tests/python/command/test_cli.py::test_a_start_in_a_folder_that_is_gone_is_refused_in_one_line \
  --deselect tests/python/gunicorn/test_importer.py::test_a_current_directory_that_is_gone_is_said_in_one_line \
  --deselect tests/real/test_green_threads.py \
  $([ "$sanitizer" = tsan ] && printf -- '--deselect %s ' \
    tests/engines/test_forks.py::test_processes_of_a_preloaded_application_outlive_a_worker_and_not_the_server \
    tests/engines/test_shutdown.py::test_server_starts_in_a_forked_child \
    tests/engines/test_supervisor.py::test_threads_of_a_preloaded_application_keep_nothing \
    tests/python/test_server.py::test_a_server_can_be_started_after_a_fork) \
  "$@"

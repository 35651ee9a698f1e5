# prowingen_compile_options: what every target of the project is compiled with.

option(PROWINGEN_WERROR "Treat warnings as errors" OFF)
option(PROWINGEN_LTO "Optimise across translation units in Release builds" ON)
set(PROWINGEN_SANITIZE "" CACHE STRING "Sanitizer: address (with undefined), thread, or empty")
set_property(CACHE PROWINGEN_SANITIZE PROPERTY STRINGS "" address thread)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# The static libraries end up in one extension module, which shows the world its init function only.
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

find_program(PROWINGEN_CCACHE ccache)
if(PROWINGEN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths below the source folder are hashed as relative ones, so that the build folders of several
  # Python versions share what does not depend on Python.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" ${PROWINGEN_CCACHE})
endif()

if(PROWINGEN_LTO AND NOT PROWINGEN_SANITIZE AND NOT DEFINED CMAKE_INTERPROCEDURAL_OPTIMIZATION_RELEASE)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT lto_works LANGUAGES CXX OUTPUT lto_output)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION_RELEASE ${lto_works})
endif()

add_library(prowingen_compile_options INTERFACE)
target_compile_options(
  prowingen_compile_options
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wshadow
            -Wnon-virtual-dtor
            -Woverloaded-virtual
            -Wcast-qual
            -Wextra-semi
            $<$<BOOL:${PROWINGEN_WERROR}>:-Werror>)

if(PROWINGEN_SANITIZE STREQUAL "address")
  # Not vptr: it looks at memory through a pipe, and takes a process that is out of file descriptors,
  # as some tests want it, for a faulty one.
  set(sanitizer_flags -fsanitize=address,undefined -fno-sanitize=vptr
                      -fno-sanitize-recover=undefined)
elseif(PROWINGEN_SANITIZE STREQUAL "thread")
  # A recycled exchange is taken over by a fence, which this sanitizer does not follow beside locks.
  set(sanitizer_flags -fsanitize=thread $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
elseif(PROWINGEN_SANITIZE)
  message(FATAL_ERROR "PROWINGEN_SANITIZE is \"${PROWINGEN_SANITIZE}\": give address or thread")
endif()
if(PROWINGEN_SANITIZE)
  # GCC's flow analysis takes instrumented code, Boost's above all, for reads of uninitialised data.
  target_compile_options(
    prowingen_compile_options INTERFACE ${sanitizer_flags} -fno-omit-frame-pointer
                                        $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(prowingen_compile_options INTERFACE ${sanitizer_flags})
endif()

if(PROWINGEN_BUILD_FUZZERS)
  # All that is fuzzed tells libFuzzer where it has been; only its programs have its main().
  target_compile_options(prowingen_compile_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

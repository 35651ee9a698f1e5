# The proxygen engine, where proxygen is installed. This project never builds proxygen itself.
#
#   PROWINGEN_PROXYGEN=AUTO  with it where find_package finds one, else without
#                     =ON    an error if there is none
#                     =OFF   without
if(NOT PROWINGEN_PROXYGEN MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "PROWINGEN_PROXYGEN is \"${PROWINGEN_PROXYGEN}\": give AUTO, ON or OFF")
endif()
if(PROWINGEN_PROXYGEN STREQUAL "OFF")
  message(STATUS "proxygen: not built (PROWINGEN_PROXYGEN=OFF)")
  return()
endif()

# proxygen's package leaves it to its users to find some of what it needs.
list(PREPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}/proxygen")
find_package(Zstd QUIET)
find_package(proxygen QUIET CONFIG)
if(NOT proxygen_FOUND)
  if(PROWINGEN_PROXYGEN STREQUAL "ON")
    message(FATAL_ERROR "proxygen was not found. Install it with one of:\n"
                        "    brew install proxygen          (macOS and Linux)\n"
                        "    dnf install proxygen-devel     (Fedora)\n"
                        "    port install proxygen          (MacPorts)\n"
                        "or name its prefix in CMAKE_PREFIX_PATH.\n")
  endif()
  message(STATUS "proxygen: not built (no proxygen was found)")
  return()
endif()

file(GLOB proxygen_engine_sources CONFIGURE_DEPENDS cpp/engine_proxygen/*.cpp)
add_library(prowingen_engine_proxygen STATIC ${proxygen_engine_sources})
target_link_libraries(prowingen_engine_proxygen
                      PUBLIC prowingen_core prowingen_access_log prowingen_proxies
                             prowingen_processes prowingen_tls
                      PRIVATE prowingen_http1 prowingen_http2 proxygen::proxygenhttpserver)
# folly's inline code has to agree with the library, which every package builds for release.
target_compile_definitions(prowingen_engine_proxygen PRIVATE $<$<CONFIG:Debug>:NDEBUG>)

# HTTP/3, where the package has it: QUIC's sessions, and the mvfst and fizz below them.
if(TARGET proxygen::proxygen_http_session_hq_downstream_session AND TARGET mvfst::mvfst_server_server)
  target_link_libraries(prowingen_engine_proxygen
                        PRIVATE proxygen::proxygen_http_session_hq_downstream_session
                                mvfst::mvfst_server_server)
  target_compile_definitions(prowingen_engine_proxygen PUBLIC PROWINGEN_PROXYGEN_HTTP3)
else()
  list(FILTER proxygen_engine_sources INCLUDE REGEX "/http3_[^/]*$")
  set_source_files_properties(${proxygen_engine_sources} PROPERTIES HEADER_FILE_ONLY ON)
  message(STATUS "proxygen: without HTTP/3")
endif()

# Which release it is, for --version. proxygen's package does not say; a package manager's may, or
# the path that Homebrew keeps it under.
set(proxygen_release "${proxygen_VERSION}")
file(REAL_PATH "${proxygen_DIR}" proxygen_path)
if(NOT proxygen_release AND proxygen_path MATCHES "/(20[0-9][0-9]\\.[0-9.]*[0-9])[/_]")
  set(proxygen_release "${CMAKE_MATCH_1}")
endif()
find_program(rpm_command rpm)
if(NOT proxygen_release AND rpm_command)
  execute_process(COMMAND "${rpm_command}" -qf --queryformat "%{VERSION}" "${proxygen_path}"
                  OUTPUT_VARIABLE proxygen_release RESULT_VARIABLE rpm_failed ERROR_QUIET)
  if(rpm_failed)
    set(proxygen_release "")
  endif()
endif()
if(NOT proxygen_release)
  set(proxygen_release "release unknown")
endif()
target_compile_definitions(prowingen_engine_proxygen
                           PRIVATE PROWINGEN_PROXYGEN_RELEASE="${proxygen_release}")
message(STATUS "proxygen: built in (${proxygen_release}, ${proxygen_DIR})")

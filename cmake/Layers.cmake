# Dependencies point one way:
#   bindings -> listener, wsgi -> sockets, websocket, static_files, response_cache, compression
#     -> core, event_loop
#   bindings -> admin -> access_log, metrics, event_loop
#   bindings -> engines -> http1, http2, tls, proxies, access_log -> metrics -> processes
#     -> core -> http
#
# All layers include from one root ("core/exchange.h"), so the compiler would let core include an
# engine. This check reads the #include lines of every source on each build and refuses what a
# layer may not know. Run as a script, it is the check itself; included, it adds the check.

set(layers http core access_log proxies processes metrics http1 http2 tls event_loop sockets
    websocket static_files response_cache compression health tracing limits statsd admin
    engine_embedded engine_proxygen wsgi listener bindings)
set(uses_http http)
set(uses_core http core)
set(uses_access_log http core metrics access_log)
set(uses_proxies http core proxies)
set(uses_processes core processes)
set(uses_metrics http core processes metrics)
set(uses_statsd core processes metrics statsd)
set(uses_http1 http core http1)
set(uses_http2 http http2)
set(uses_tls core tls)
set(uses_event_loop core event_loop)
set(uses_sockets http core event_loop sockets)
set(uses_websocket http core websocket)
set(uses_static_files http core static_files)
set(uses_response_cache http core response_cache)
set(uses_compression http core compression)
set(uses_health http core health)
set(uses_tracing http core tracing)
set(uses_admin http core access_log processes metrics event_loop admin)
set(uses_limits http core proxies limits)
set(uses_engine_embedded http core access_log proxies processes http1 http2 tls event_loop
    engine_embedded)
set(uses_engine_proxygen http core access_log proxies processes http1 http2 tls engine_proxygen)
set(uses_wsgi http core sockets websocket static_files response_cache compression tracing
    wsgi)
set(uses_listener http core sockets websocket wsgi listener)
set(uses_bindings core access_log proxies processes metrics tls sockets websocket static_files
    response_cache health tracing limits statsd admin engine_embedded engine_proxygen wsgi
    listener bindings)
set(sees_python wsgi listener bindings)
set(sees_boost http1 sockets)
set(sees_nghttp2 http2)

if(NOT CMAKE_SCRIPT_MODE_FILE)
  file(GLOB_RECURSE layered_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cpp/*.cpp"
       "${PROJECT_SOURCE_DIR}/cpp/*.h")
  add_custom_command(
    OUTPUT "${PROJECT_BINARY_DIR}/layers.stamp"
    COMMAND ${CMAKE_COMMAND} "-DROOT=${PROJECT_SOURCE_DIR}/cpp" -P "${CMAKE_CURRENT_LIST_FILE}"
    COMMAND ${CMAKE_COMMAND} -E touch "${PROJECT_BINARY_DIR}/layers.stamp"
    DEPENDS ${layered_sources} "${CMAKE_CURRENT_LIST_FILE}"
    COMMENT "Checking that dependencies point one way"
    VERBATIM)
  add_custom_target(prowingen_layers ALL DEPENDS "${PROJECT_BINARY_DIR}/layers.stamp")
  return()
endif()

cmake_minimum_required(VERSION 3.22)  # a script has no project to take policies from
set(violations "")
foreach(layer IN LISTS layers)
  file(GLOB_RECURSE sources RELATIVE "${ROOT}" "${ROOT}/${layer}/*.cpp" "${ROOT}/${layer}/*.h")
  foreach(source IN LISTS sources)
    file(STRINGS "${ROOT}/${source}" includes REGEX "^ *# *include")
    foreach(include IN LISTS includes)
      set(reason "")
      if(include MATCHES "[<\"](Python\\.h|pybind11/)" AND NOT layer IN_LIST sees_python)
        set(reason "Python")
      elseif(include MATCHES "[<\"]boost/" AND NOT layer IN_LIST sees_boost)
        set(reason "Boost")
      elseif(include MATCHES "[<\"]nghttp2/" AND NOT layer IN_LIST sees_nghttp2)
        set(reason "nghttp2")
      elseif(include MATCHES "\"([a-z0-9_]+)/")
        if(CMAKE_MATCH_1 IN_LIST layers AND NOT CMAKE_MATCH_1 IN_LIST uses_${layer})
          set(reason "${CMAKE_MATCH_1}")
        endif()
      endif()
      if(reason)
        string(APPEND violations "\n  cpp/${source}: ${layer} must not know ${reason}: ${include}")
      endif()
    endforeach()
  endforeach()
endforeach()
if(violations)
  message(FATAL_ERROR "Includes against the direction of dependencies:${violations}\n")
endif()

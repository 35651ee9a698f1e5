# nghttp2::nghttp2, which comes without a CMake package where distributions build it by autotools.

find_path(NGHTTP2_INCLUDE_DIR nghttp2/nghttp2.h)
find_library(NGHTTP2_LIBRARY nghttp2)
mark_as_advanced(NGHTTP2_INCLUDE_DIR NGHTTP2_LIBRARY)

# The first with priorities by RFC 9218 and with limits for resets and CONTINUATION.
set(oldest 1.52.0)
set(nghttp2_version 0)
if(NGHTTP2_INCLUDE_DIR AND NGHTTP2_LIBRARY)
  file(STRINGS "${NGHTTP2_INCLUDE_DIR}/nghttp2/nghttp2ver.h" line
       REGEX "define NGHTTP2_VERSION \"")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" nghttp2_version "${line}")
endif()
if(nghttp2_version VERSION_LESS oldest)
  prowingen_missing(nghttp2 "libnghttp2 ${oldest} or newer (headers)")
endif()

add_library(nghttp2::nghttp2 UNKNOWN IMPORTED)
set_target_properties(nghttp2::nghttp2 PROPERTIES IMPORTED_LOCATION "${NGHTTP2_LIBRARY}"
                      INTERFACE_INCLUDE_DIRECTORIES "${NGHTTP2_INCLUDE_DIR}")

# The target `cares`, which proxygen's package expects its user to bring.
find_path(CARES_INCLUDE_DIR ares.h)
find_library(CARES_LIBRARY cares)
mark_as_advanced(CARES_INCLUDE_DIR CARES_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(c-ares REQUIRED_VARS CARES_LIBRARY CARES_INCLUDE_DIR)
if(c-ares_FOUND AND NOT TARGET cares)
  add_library(cares UNKNOWN IMPORTED)
  set_target_properties(cares PROPERTIES IMPORTED_LOCATION "${CARES_LIBRARY}"
                                         INTERFACE_INCLUDE_DIRECTORIES "${CARES_INCLUDE_DIR}")
endif()

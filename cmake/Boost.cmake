# Boost::headers, also of a Boost without a CMake package: an archive of it that was merely unpacked.

set(oldest 1.74)
find_package(Boost ${oldest} QUIET CONFIG)
if(Boost_FOUND)
  return()
endif()

find_path(BOOST_INCLUDE_DIR boost/version.hpp)
mark_as_advanced(BOOST_INCLUDE_DIR)
set(boost_version 0)
if(BOOST_INCLUDE_DIR)
  file(STRINGS "${BOOST_INCLUDE_DIR}/boost/version.hpp" line REGEX "define BOOST_LIB_VERSION \"")
  string(REGEX MATCH "[0-9]+_[0-9]+" boost_version "${line}")
  string(REPLACE "_" "." boost_version "${boost_version}")
endif()
if(boost_version VERSION_LESS oldest)
  prowingen_missing(boost "Boost ${oldest} or newer (headers)")
endif()

add_library(Boost::headers INTERFACE IMPORTED)
set_target_properties(Boost::headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
                                                "${BOOST_INCLUDE_DIR}")

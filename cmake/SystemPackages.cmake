# Turns a missing library into an error that says what to install.
#
#   prowingen_missing(boost "Boost 1.74 or newer")   stops with the package's name on apt, dnf, brew

function(prowingen_missing need what)
  set(table "${PROJECT_SOURCE_DIR}/cmake/system-packages.txt")
  file(STRINGS "${table}" rows REGEX "^${need} ")
  string(REGEX REPLACE " +" ";" row "${rows}")
  set(python_name python3)
  if(Python_VERSION)
    set(python_name "python${Python_VERSION_MAJOR}.${Python_VERSION_MINOR}")
  endif()

  set(hints "")
  set(column 2)
  foreach(install IN ITEMS "apt-get install" "dnf install" "brew install")
    list(GET row ${column} package)
    string(REPLACE "{py}" "${python_name}" package "${package}")
    if(NOT package STREQUAL "-")
      string(APPEND hints "\n    ${install} ${package}")
    endif()
    math(EXPR column "${column} + 1")
  endforeach()
  message(FATAL_ERROR "${what} was not found. Install it with one of:${hints}\n")
endfunction()

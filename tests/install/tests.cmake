# The installed library and its packages, used by programs of somebody else's.
if(NOT HSMART_SANITIZE)
  hs_script_test(install outside COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install/check-install)
endif()

# That the gates can fail. Both are scripts about scripts: once, where nothing is instrumented.
if(NOT HSMART_SANITIZE)
  hs_script_test(setup run COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/setup/check-run)
endif()

# The tools under valgrind, which cannot run what the sanitizers were built into.
if(TARGET tool_hsmart AND NOT HSMART_SANITIZE)
  hs_script_test(valgrind tools COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/valgrind/check-tools)
  set_tests_properties(valgrind.tools PROPERTIES TIMEOUT 600)
endif()

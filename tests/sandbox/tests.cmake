# hsmart-sandbox over its sockets, with clients that are not ours, and its endpoints without sockets.
if(TARGET tool_hsmart-sandbox)
  foreach(script protocol options hostile key-sets faults families inferno drill other-clients check-over-http demo)
    hs_script_test(sandbox ${script} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sandbox/${script})
  endforeach()
  set_tests_properties(sandbox.check-over-http PROPERTIES TIMEOUT 600) # two thousand commands

  file(GLOB endpoints CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/hsmart-sandbox/*.c)
  list(FILTER endpoints EXCLUDE REGEX "/(main|front|tls_identity)\\.c$")
  hs_cmocka_test(sandbox agreement USES tool_common rules servers net jose codec base
                 SOURCES support/software_signer.c ${endpoints})
  target_link_libraries(test_agreement PRIVATE hs_hardening)
  target_link_options(test_agreement PRIVATE LINKER:--wrap=hs_clock_now_s)
  target_include_directories(test_agreement PRIVATE ${PROJECT_SOURCE_DIR}/tools/hsmart-sandbox)
endif()

# Shows that the servers of this directory do what they say; needs nginx, npm and a network once, else skips those parts.
hs_script_test(servers selftest COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/servers/selftest.sh)
# The public API of clients, as another program links it.
if(TARGET tool_hsmart-key)
  add_executable(test_client ${CMAKE_CURRENT_SOURCE_DIR}/servers/test_client.c)
  target_include_directories(test_client PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support ${PROJECT_SOURCE_DIR}/src/base)
  target_compile_definitions(test_client PRIVATE _POSIX_C_SOURCE=200809L)
  target_link_libraries(test_client PRIVATE libhsmart PkgConfig::CMOCKA Threads::Threads hs_warnings)
  add_executable(read_patients ${PROJECT_SOURCE_DIR}/docs/examples/read_patients.c)
  target_link_libraries(read_patients PRIVATE libhsmart hs_warnings)
  hs_script_test(servers client COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/servers/client.sh)
endif()

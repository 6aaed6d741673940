# hsmart-sandbox over its sockets, with a client that is not ours (python3-jwt) and with ours.
if(TARGET tool_hsmart-sandbox)
  foreach(script protocol hostile key-sets faults other-clients)
    hs_script_test(sandbox ${script} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sandbox/${script})
  endforeach()
endif()

# The tools as their users run them, each script on tokens of its own.
if(TARGET tool_hsmart AND TARGET tool_hsmart-key)
  foreach(script command-line main-job bad-input call-log man-pages completion check doctor readme operations server-rows server-answers real-server)
    hs_script_test(e2e ${script} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/${script})
  endforeach()
  hs_script_test(e2e ceremony COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/ceremony)
  hs_script_test(e2e ceremony-report COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/ceremony-report)
  set(every 1) # step at which it is killed
  if(HSMART_SANITIZE)
    set(every 4)
  endif()
  hs_script_test(e2e ceremony-interrupted COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/ceremony-interrupted
                 $<TARGET_FILE:hsmart_kill_at> $<TARGET_FILE:hsmart_fault> ${every})
  hs_script_test(e2e same-label COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/same-label $<TARGET_FILE:hsmart_fault>)
  hs_script_test(e2e audit COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/audit)
  hs_script_test(e2e audit-records COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/audit-records)
  hs_script_test(e2e rotation COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/rotation)
  hs_script_test(e2e certificates COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/certificates)
endif()

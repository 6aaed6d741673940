# What several tests stand on.
foreach(fake fake_p11 fake_p11_too) # two, for what one module does while the other one is in trouble
  add_library(${fake} MODULE ${CMAKE_CURRENT_SOURCE_DIR}/support/fake/fake_module.c)
  target_link_libraries(${fake} PRIVATE PkgConfig::P11KIT Threads::Threads hs_warnings)
  target_compile_definitions(${fake} PRIVATE _POSIX_C_SOURCE=200809L)
endforeach()

add_library(hs_test_support STATIC ${CMAKE_CURRENT_SOURCE_DIR}/support/fake_p11_load.c
                                   ${CMAKE_CURRENT_SOURCE_DIR}/support/softhsm.c)
target_include_directories(hs_test_support PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/support)
target_compile_definitions(hs_test_support PUBLIC FAKE_P11_MODULE="$<TARGET_FILE:fake_p11>"
                                                  FAKE_P11_MODULE_TOO="$<TARGET_FILE:fake_p11_too>")
target_link_libraries(hs_test_support PUBLIC hs_pkcs11 PkgConfig::CMOCKA PRIVATE hs_warnings)
add_dependencies(hs_test_support fake_p11 fake_p11_too)

# A module that stands in front of a real one and breaks it.
add_library(hsmart_fault MODULE ${CMAKE_CURRENT_SOURCE_DIR}/support/fault/fault_module.c)
target_include_directories(hsmart_fault PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support/fault)
target_link_libraries(hsmart_fault PRIVATE PkgConfig::P11KIT Threads::Threads ${CMAKE_DL_LIBS} hs_warnings)
target_compile_definitions(hsmart_fault PRIVATE _POSIX_C_SOURCE=200809L)

# Kills the process that it is preloaded into, before its nth change of the disk.
add_library(hsmart_kill_at MODULE ${CMAKE_CURRENT_SOURCE_DIR}/support/kill/kill_at.c)
target_compile_options(hsmart_kill_at PRIVATE -fno-sanitize=all) # it comes before the sanitizer's own library
target_link_options(hsmart_kill_at PRIVATE -fno-sanitize=all)
target_link_libraries(hsmart_kill_at PRIVATE ${CMAKE_DL_LIBS} hs_warnings)

# What fails when a test wants it: tests/support/failing_calls.h and failing_malloc.h.
function(hs_failing_calls test)
  target_sources(test_${test} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support/failing_calls.c)
  foreach(call fsync flock opendir pipe2 posix_spawn waitpid read write tcgetattr memfd_create lseek getrandom)
    target_link_options(test_${test} PRIVATE LINKER:--wrap=${call})
  endforeach()
endfunction()
function(hs_failing_malloc test)
  target_sources(test_${test} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support/failing_malloc.c)
  target_link_options(test_${test} PRIVATE LINKER:--wrap=malloc,--wrap=calloc,--wrap=strdup)
endfunction()

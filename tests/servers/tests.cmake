# Shows that the servers of this directory do what they say; needs nginx, npm and a network once, else skips those parts.
hs_script_test(servers selftest COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/servers/selftest.sh)

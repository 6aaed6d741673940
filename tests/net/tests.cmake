hs_cmocka_test(net http USES net codec base SOURCES support/tls_servers.c support/scripted_server.c)
set_target_properties(test_http PROPERTIES ENABLE_EXPORTS ON) # its getaddrinfo goes before libc's, in libcurl too
hs_cmocka_test(net server_rows USES api smart servers net jose codec base SOURCES support/scripted_server.c support/software_signer.c)

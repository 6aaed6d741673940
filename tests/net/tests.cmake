hs_cmocka_test(net http USES net codec base SOURCES support/tls_servers.c support/scripted_server.c)

/* For tests: the web servers of tls_servers.sh, for as long as a test program runs. */
#ifndef HS_TLS_SERVERS_H
#define HS_TLS_SERVERS_H

/* Group setup and teardown for cmocka: servers in a directory of their own; their TLS_… variables are in the environment
 * afterwards. Where nginx is not installed nothing is started, and the setup succeeds all the same. */
int tls_servers_up(void **state);
int tls_servers_down(void **state);

/* A variable of the script. Skips the test when there are no servers. */
const char *tls_server(const char *name);

#endif

/* Answers every connection with one greeting. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
  const char* port = getenv("PORT");
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
  address.sin_port = htons((unsigned short)atoi(port ? port : "8080"));
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  signal(SIGPIPE, SIG_IGN);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) || listen(listener, 64)) {
    perror("listen");
    return 1;
  }
  printf("listening on port %d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    int client = accept(listener, NULL, NULL);
    char request[4096];
    const char* answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nConnection: close\r\n\r\nhello from C\n";
    if (client < 0) continue;
    if (read(client, request, sizeof request) > 0 && write(client, answer, strlen(answer)) < 0) perror("write");
    close(client);
  }
}

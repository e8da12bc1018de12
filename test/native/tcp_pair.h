// Two ends of a TCP connection within the host.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "../../native/core/descriptor.h"
#include "check.h"

namespace test {

struct TcpPair {
  copse::Descriptor server, client;
};

// `receive_buffer`: the client's (SO_RCVBUF), which does not grow then; 0: as the kernel has it.
inline TcpPair MakeTcpPair(int receive_buffer = 0) {
  const copse::Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  CHECK_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  CHECK_EQ(listen(listener.get(), 1), 0);
  CHECK_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  TcpPair pair{copse::Descriptor(), copse::Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
  if (receive_buffer > 0) CHECK_EQ(setsockopt(pair.client.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer)), 0);
  CHECK_EQ(connect(pair.client.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  pair.server = copse::Descriptor(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  CHECK(pair.server.valid());
  return pair;
}

}  // namespace test

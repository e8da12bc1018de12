// The headers of requests, as the lane parses them.
#include "../../native/core/fast/request_frame.h"

#include "lane_client.h"

using namespace copse;
using test::RequestOf;

namespace {

Request Parsed(ReplyMode replies, const test::Bytes& bytes) {
  CHECK_EQ(bytes.size(), RequestHeaderBytes(replies));
  Request request;
  CHECK(ParseRequest(bytes.data(), replies, &request));
  return request;
}

void Fields() {
  const uint64_t big = 0xfedcba9876543210;
  const Request compact = Parsed(ReplyMode::kStructured, RequestOf(ReplyMode::kStructured, 0x1234, big, big - 1, 0xfffffffe, 0xabcd));
  CHECK_EQ(compact.type, 0x1234);
  CHECK_EQ(compact.flags, 0xabcd);
  CHECK_EQ(compact.offset, big - 1);
  CHECK_EQ(compact.length, 0xfffffffeu);
  const Request extended = Parsed(ReplyMode::kExtended, RequestOf(ReplyMode::kExtended, 1, 7, big, big, 32));
  CHECK_EQ(extended.length, big);
  CHECK_EQ(RequestPayloadBytes(extended, ReplyMode::kExtended), big);
}

void Magic() {
  Request request;
  // Each mode takes its own magic alone.
  CHECK(!ParseRequest(RequestOf(ReplyMode::kExtended, 0, 1, 0, 1).data(), ReplyMode::kSimple, &request));
  CHECK(!ParseRequest(RequestOf(ReplyMode::kExtended, 0, 1, 0, 1).data(), ReplyMode::kStructured, &request));
  test::Bytes compact = RequestOf(ReplyMode::kSimple, 0, 1, 0, 1);
  compact.resize(32);
  CHECK(!ParseRequest(compact.data(), ReplyMode::kExtended, &request));
}

void Payload() {
  for (const ReplyMode replies : {ReplyMode::kSimple, ReplyMode::kStructured}) {
    CHECK_EQ(RequestPayloadBytes(Parsed(replies, RequestOf(replies, 1, 1, 0, 77)), replies), 77u);
    CHECK_EQ(RequestPayloadBytes(Parsed(replies, RequestOf(replies, 0, 1, 0, 77, 32)), replies), 0u);
  }
  const ReplyMode extended = ReplyMode::kExtended;
  CHECK_EQ(RequestPayloadBytes(Parsed(extended, RequestOf(extended, 1, 1, 0, 77)), extended), 0u);
  CHECK_EQ(RequestPayloadBytes(Parsed(extended, RequestOf(extended, 7, 1, 0, 77, 32)), extended), 77u);
}

void Plain() {
  const auto read = [](ReplyMode replies, uint64_t length, uint16_t flags) {
    return IsPlainRead(Parsed(replies, RequestOf(replies, 0, 1, 5, length, flags)), replies);
  };
  CHECK(read(ReplyMode::kSimple, 1, 0));
  CHECK(read(ReplyMode::kSimple, 32 << 20, 0));
  CHECK(!read(ReplyMode::kSimple, (32 << 20) + 1, 0));
  CHECK(!read(ReplyMode::kSimple, 0, 0));
  CHECK(!read(ReplyMode::kSimple, 1, 4));
  CHECK(read(ReplyMode::kStructured, 1, 4));
  CHECK(read(ReplyMode::kExtended, 1, 4));
  for (const uint16_t flags : {1, 2, 5, 8, 16, 32, 36, 1 << 15}) CHECK(!read(ReplyMode::kExtended, 1, flags));
  CHECK(!IsPlainRead(Parsed(ReplyMode::kSimple, RequestOf(ReplyMode::kSimple, 5, 1, 0, 1)), ReplyMode::kSimple));

  const auto write = [](ReplyMode replies, uint64_t offset, uint64_t length, uint16_t flags) {
    return IsPlainWrite(Parsed(replies, RequestOf(replies, 1, 1, offset, length, flags)), replies);
  };
  CHECK(write(ReplyMode::kSimple, 4096, 4096, 0));
  CHECK(write(ReplyMode::kStructured, 0, 1 << 20, 0));
  CHECK(!write(ReplyMode::kSimple, 0, (1 << 20) + 4096, 0));
  CHECK(!write(ReplyMode::kSimple, 512, 4096, 0));
  CHECK(!write(ReplyMode::kSimple, 0, 512, 0));
  CHECK(!write(ReplyMode::kSimple, 0, 0, 0));
  CHECK(!write(ReplyMode::kSimple, 0, 4096, 1));
  CHECK(!write(ReplyMode::kSimple, 0, 4096, 32));
  CHECK(write(ReplyMode::kExtended, 0, 4096, 32));
  CHECK(!write(ReplyMode::kExtended, 0, 4096, 33));
  CHECK(!write(ReplyMode::kExtended, 0, 4096, 0));
}

}  // namespace

int main() {
  Fields();
  Magic();
  Payload();
  Plain();
}

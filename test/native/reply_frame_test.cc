// Replies byte by byte, as src/nbd/codec/frame.ts puts them.
#include "../../native/core/fast/reply_frame.h"

#include "lane_client.h"

using namespace copse;

namespace {

std::string Hex(const uint8_t* bytes, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; i += 1) {
    const char* const digits = "0123456789abcdef";
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

const Request kTo{0, 0, 0x0102030405060708, 0x1112131415161718, 0x1000};

std::string Data(ReplyMode replies, bool done) {
  uint8_t bytes[kMostReplyHeaderBytes];
  return Hex(bytes, PutDataHeader(bytes, replies, kTo, done, 0x2122232425262728, 0x800));
}

std::string Hole(ReplyMode replies, bool done) {
  uint8_t bytes[kMostReplyHeaderBytes];
  return Hex(bytes, PutHole(bytes, replies, kTo, done, 0x2122232425262728, 0x800));
}

std::string Success(ReplyMode replies) {
  uint8_t bytes[kMostReplyHeaderBytes];
  return Hex(bytes, PutSuccess(bytes, replies, kTo));
}

}  // namespace

int main() {
  CHECK_EQ(Data(ReplyMode::kSimple, true), "67446698" "00000000" "0102030405060708");
  CHECK_EQ(Success(ReplyMode::kSimple), "67446698" "00000000" "0102030405060708");
  CHECK_EQ(Data(ReplyMode::kStructured, true), "668e33ef" "0001" "0001" "0102030405060708" "00000808" "2122232425262728");
  CHECK_EQ(Data(ReplyMode::kStructured, false), "668e33ef" "0000" "0001" "0102030405060708" "00000808" "2122232425262728");
  CHECK_EQ(Hole(ReplyMode::kStructured, true), "668e33ef" "0001" "0002" "0102030405060708" "0000000c" "2122232425262728" "00000800");
  CHECK_EQ(Success(ReplyMode::kStructured), "668e33ef" "0001" "0000" "0102030405060708" "00000000");
  CHECK_EQ(Data(ReplyMode::kExtended, true), "6e8a278c" "0001" "0001" "0102030405060708" "1112131415161718" "0000000000000808" "2122232425262728");
  CHECK_EQ(Hole(ReplyMode::kExtended, false),
           "6e8a278c" "0000" "0002" "0102030405060708" "1112131415161718" "000000000000000c" "2122232425262728" "00000800");
  CHECK_EQ(Success(ReplyMode::kExtended), "6e8a278c" "0001" "0000" "0102030405060708" "1112131415161718" "0000000000000000");
}

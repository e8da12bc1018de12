// Checks for the native tests. A failed check says where and why, and ends the program with 1.
//
// A test is a program of its own, NAME_test.cc with a main. It takes no argument, and its output is
// for people alone. It may leave files only below Directory::path(). test/native/run compiles it
// with native/core in three variants, and gives each run a time limit, so that a hang fails.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <type_traits>

namespace check {

// How a failed check ends the program. A fuzzed one wants abort, so that its input is kept.
inline void (*end)() = [] { std::_Exit(1); };

[[noreturn]] inline void Fail(const char* file, int line, const std::string& what) {
  std::cout.flush();
  std::fflush(stdout);
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  std::fflush(stderr);
  // Other threads may run on: nothing of what they use is destroyed.
  end();
  std::abort();
}

// As text: numbers as such (bytes too), what has no << by name of its lack.
template <typename T, typename = void>
struct Text {
  static std::string Of(const T&) { return "(a value that does not print)"; }
};
template <typename T>
struct Text<T, std::void_t<decltype(std::declval<std::ostream&>() << std::declval<const T&>())>> {
  static std::string Of(const T& value) {
    std::ostringstream out;
    if constexpr (std::is_same_v<T, char> || std::is_same_v<T, signed char> || std::is_same_v<T, unsigned char>) {
      out << static_cast<int>(value);
    } else {
      out << std::boolalpha << value;
    }
    return out.str();
  }
};
template <typename T>
struct Text<T, std::enable_if_t<std::is_enum_v<T>>> {
  static std::string Of(const T& value) { return std::to_string(static_cast<long long>(value)); }
};

template <typename A, typename B>
bool Equal(const A& a, const B& b) {
  // 0u == 0 without the compiler's worry about signs: both as the wider of the two, and never equal
  // when just one is below zero.
  if constexpr (std::is_integral_v<A> && std::is_integral_v<B>) {
    if constexpr (std::is_signed_v<A> && !std::is_signed_v<B>) {
      if (a < 0) return false;
    }
    if constexpr (std::is_signed_v<B> && !std::is_signed_v<A>) {
      if (b < 0) return false;
    }
    using Wide = std::common_type_t<A, B>;
    return static_cast<Wide>(a) == static_cast<Wide>(b);
  } else {
    return a == b;
  }
}

template <typename A, typename B>
void CheckEqual(const A& a, const B& b, const char* a_text, const char* b_text, const char* file, int line) {
  if (!Equal(a, b)) Fail(file, line, std::string("CHECK_EQ(") + a_text + ", " + b_text + "): " + Text<A>::Of(a) + " is not " + Text<B>::Of(b));
}

// A directory of the test's own, in a file system with holes (TMPDIR says where); gone at its end,
// unless a check failed.
class Directory {
 public:
  Directory() {
    const char* const parent = getenv("TMPDIR");
    path_ = std::string(parent != nullptr ? parent : "/tmp") + "/copse-native-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) Fail(__FILE__, __LINE__, "no directory " + path_);
  }
  Directory(const Directory&) = delete;
  ~Directory() {
    const std::string command = "rm -rf '" + path_ + "'";
    if (system(command.c_str()) != 0) std::fprintf(stderr, "%s stays\n", path_.c_str());
  }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace check

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) ::check::Fail(__FILE__, __LINE__, "CHECK(" #condition ")"); \
  } while (false)

#define CHECK_EQ(a, b) ::check::CheckEqual((a), (b), #a, #b, __FILE__, __LINE__)

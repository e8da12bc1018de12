// Names for clang's thread safety analysis, which checks at compile time that a member is used only
// under its mutex, or only by the thread that owns it. GCC compiles them to nothing.
//
// Source: https://clang.llvm.org/docs/ThreadSafetyAnalysis.html. test/native compiles the core with
// -Werror=thread-safety where it compiles with clang (the fuzzed variant).
#pragma once

#if defined(__clang__)
#define COPSE_THREAD_SAFETY(attribute) __attribute__((attribute))
#else
#define COPSE_THREAD_SAFETY(attribute)
#endif

#define CAPABILITY(kind) COPSE_THREAD_SAFETY(capability(kind))
#define SCOPED_CAPABILITY COPSE_THREAD_SAFETY(scoped_lockable)
#define GUARDED_BY(capability) COPSE_THREAD_SAFETY(guarded_by(capability))
#define REQUIRES(...) COPSE_THREAD_SAFETY(requires_capability(__VA_ARGS__))
#define ACQUIRE(...) COPSE_THREAD_SAFETY(acquire_capability(__VA_ARGS__))
#define RELEASE(...) COPSE_THREAD_SAFETY(release_capability(__VA_ARGS__))
#define EXCLUDES(...) COPSE_THREAD_SAFETY(locks_excluded(__VA_ARGS__))
#define ASSERTS(capability) COPSE_THREAD_SAFETY(assert_capability(capability))

// Arguments from Python, and what goes back: what the kernels over columns of int32 share.
#pragma once
#include "bytes.hpp"
#include "native.hpp"

#include <algorithm>
#include <climits>
#include <cstdint>
#include <new>
#include <stdexcept>

// Buffers of the arguments, given back in any case. What was not filled is an empty column.
template <int N>
struct Buffers {
  Py_buffer views[N] = {};
  ~Buffers() {
    for (Py_buffer& view : views) {
      if (view.obj != nullptr) PyBuffer_Release(&view);
    }
  }
  template <class T>
  const T* of(int which) const {
    return static_cast<const T*>(views[which].buf);
  }
  bool aligned(int which, std::size_t to) const {
    return reinterpret_cast<std::uintptr_t>(views[which].buf) % to == 0 &&
           static_cast<std::size_t>(views[which].len) % to == 0;
  }
  // Whether all are columns of int32, with no more rows than an int32 can number.
  bool of_codes() const {
    for (int i = 0; i < N; ++i) {
      if (!aligned(i, sizeof(std::int32_t)) || count(i) > INT_MAX) return false;
    }
    return true;
  }
  const std::int32_t* codes(int which) const { return of<std::int32_t>(which); }
  std::size_t count(int which) const {
    return static_cast<std::size_t>(views[which].len) / sizeof(std::int32_t);
  }
  // Whether each of a column is in [low, high).
  bool within(int which, std::int64_t low, std::int64_t high) const {
    return std::all_of(codes(which), codes(which) + count(which),
                       [low, high](std::int32_t one) { return one >= low && one < high; });
  }
  bool ascending(int which) const {
    return std::is_sorted(codes(which), codes(which) + count(which));
  }
};

inline PyObject* refuse(const char* why) {
  PyErr_SetString(PyExc_ValueError, why);
  return nullptr;
}

// Run work without the lock of Python. Whether there was memory enough; else an error is set.
template <class Work>
bool unlocked(Work work) {
  bool enough = true;
  Py_BEGIN_ALLOW_THREADS
  try {
    work();
  } catch (const std::bad_alloc&) {
    enough = false;
  } catch (const std::length_error&) {
    enough = false;
  }
  Py_END_ALLOW_THREADS
  if (!enough) PyErr_NoMemory();
  return enough;
}

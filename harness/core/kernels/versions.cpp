// Comparisons of the lists that transactions read, and the order of rows inside of transactions.
//
// versions_differ(elements, left, right, length, differ)
//   elements: int32[e]; left, right: int64[r], positions in it; length: int32[r]; differ: uint8[r],
//   which is written: 1 where the length elements from left and those from right are not the same.
//   ValueError if the columns do not fit together or a list ends outside of the elements.
// versions_chains(first, key, shown, keys, previous, head, before)
//   first: int64[n + 1], ascending from 0 to m; key, shown: int32[m], each key in [0, keys). The
//   rows of part t are first[t] to first[t + 1] - 1; those of one key in one part are a chain.
//   int32[m] each, which are written: previous, the row before in the chain, or -1; head, its first
//   row; before, the greatest shown of the rows before in the chain, or 0 if that is greater.
//   ValueError if the columns do not fit together.
// Neither holds the interpreter's lock, so no other thread may change the columns meanwhile.
#include "native.hpp"

#include <climits>
#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>
#include <vector>

namespace {

using i32 = std::int32_t;
using i64 = std::int64_t;

constexpr Py_ssize_t KEYS_MAX = INT_MAX;

// Buffers that a call borrowed, given back when it ends.
template <int N>
struct Borrowed {
  Py_buffer of[N] = {};
  ~Borrowed() {
    for (Py_buffer& one : of) {
      if (one.obj != nullptr) PyBuffer_Release(&one);
    }
  }
  template <class T>
  T* items(int which) const {
    return static_cast<T*>(of[which].buf);
  }
  template <class T>
  i64 count(int which) const {
    return static_cast<i64>(of[which].len / static_cast<Py_ssize_t>(sizeof(T)));
  }
};

PyObject* misfit() {
  PyErr_SetString(PyExc_ValueError, "these columns do not fit together");
  return nullptr;
}

bool differ(const Borrowed<5>& columns) {
  const i32* elements = columns.items<i32>(0);
  const i64 *left = columns.items<i64>(1), *right = columns.items<i64>(2);
  const i32* length = columns.items<i32>(3);
  unsigned char* result = columns.items<unsigned char>(4);
  const i64 end = columns.count<i32>(0), count = columns.count<i64>(1);
  for (i64 row = 0; row < count; ++row) {
    const i64 size = length[row], last = end - size;
    if (size < 0 || left[row] < 0 || right[row] < 0 || left[row] > last || right[row] > last) {
      return false;
    }
    result[row] = left[row] != right[row] &&
                  std::memcmp(elements + left[row], elements + right[row],
                              static_cast<std::size_t>(size) * sizeof(i32)) != 0;
  }
  return true;
}

PyObject* versions_differ(PyObject*, PyObject* args) {
  Borrowed<5> columns;
  if (!PyArg_ParseTuple(args, "y*y*y*y*w*", &columns.of[0], &columns.of[1], &columns.of[2],
                        &columns.of[3], &columns.of[4])) {
    return nullptr;
  }
  const i64 count = columns.count<i64>(1);
  if (columns.count<i64>(2) != count || columns.count<i32>(3) != count ||
      columns.count<unsigned char>(4) != count) {
    return misfit();
  }
  bool fits = false;
  Py_BEGIN_ALLOW_THREADS
  fits = differ(columns);
  Py_END_ALLOW_THREADS
  return fits ? Py_NewRef(Py_None) : misfit();
}

// What is known of the last chain of a key.
struct Chain {
  i32 last = -1, head = -1, greatest = 0;
};

bool chains(const Borrowed<6>& columns, std::vector<Chain>& open) {
  const i64* first = columns.items<i64>(0);
  const i32 *key = columns.items<i32>(1), *shown = columns.items<i32>(2);
  i32 *previous = columns.items<i32>(3), *head = columns.items<i32>(4);
  i32* before = columns.items<i32>(5);
  const i64 parts = columns.count<i64>(0) - 1, rows = columns.count<i32>(1);
  const i64 keys = static_cast<i64>(open.size());
  if (first[0] != 0 || first[parts] != rows) return false;
  for (i64 part = 0; part < parts; ++part) {
    const i64 begin = first[part], end = first[part + 1];
    if (end < begin || end > rows) return false;
    for (i64 row = begin; row < end; ++row) {
      if (key[row] < 0 || key[row] >= keys) return false;
      Chain& chain = open[static_cast<std::size_t>(key[row])];
      const i32 here = static_cast<i32>(row);
      if (chain.last < begin) chain = {-1, here, 0};
      previous[row] = chain.last;
      head[row] = chain.head;
      before[row] = chain.greatest;
      chain.last = here;
      if (shown[row] > chain.greatest) chain.greatest = shown[row];
    }
  }
  return true;
}

PyObject* versions_chains(PyObject*, PyObject* args) {
  Borrowed<6> columns;
  Py_ssize_t keys;
  if (!PyArg_ParseTuple(args, "y*y*y*nw*w*w*", &columns.of[0], &columns.of[1], &columns.of[2],
                        &keys, &columns.of[3], &columns.of[4], &columns.of[5])) {
    return nullptr;
  }
  const i64 rows = columns.count<i32>(1);
  bool fits = columns.count<i64>(0) >= 1 && rows <= INT_MAX && keys >= 0 && keys <= KEYS_MAX;
  for (int which = 2; which < 6; ++which) fits &= columns.count<i32>(which) == rows;
  if (!fits) return misfit();
  bool memory = true;
  Py_BEGIN_ALLOW_THREADS
  try {
    std::vector<Chain> open(static_cast<std::size_t>(keys));
    fits = chains(columns, open);
  } catch (const std::bad_alloc&) {
    memory = false;
  } catch (const std::length_error&) {
    memory = false;
  }
  Py_END_ALLOW_THREADS
  if (!memory) return PyErr_NoMemory();
  return fits ? Py_NewRef(Py_None) : misfit();
}

}  // namespace

PyMethodDef versions_methods[] = {
    {"versions_differ", versions_differ, METH_VARARGS, "Which lists are not the same."},
    {"versions_chains", versions_chains, METH_VARARGS, "Rows of one key in one part."},
    {nullptr, nullptr, 0, nullptr}};

// Tokenizers for histories: JSON lines and EDN.
//
// tokens_new(format) -> tokens
//   format: 0 for history.jsonl, 1 for Jepsen's EDN.
// tokens_feed(tokens, bytes, last) -> (consumed, columns, errors) or None
//   Reads the whole lines (JSON) or forms (EDN) at the beginning of the bytes; the rest must come
//   again, with more after it. None: something unusual, read the file in Python. columns: eight
//   int64[n] as bytes: index, time, process (-1: nemesis), type, and the codes of function, key and
//   value; then the code of the node (JSON) or whether the value was a tagged tuple (EDN). In EDN an
//   index or time that is not given is -1. errors: int64[][2], row of these columns and code.
// tokens_tables(tokens) -> ((count, json, text, codes, deferred), ...); ValueError after it gave up,
// or when they were taken before
//   What the codes 1 to count mean, for functions, keys, values, nodes, errors and extras (fields
//   that are read only to see whether they are well-formed). json: values with a comma after each,
//   in order of code, but for codes (int32[]), whose EDN is in text, with a newline after each, and
//   for what is deferred: codes (int32[]), sizes (int64[]) and blocks, in which the JSON of
//   these stands without anything between; no text crosses blocks.
// One of them is used by one thread at a time (RuntimeError).
#include "bytes.hpp"
#include "tokens_edn.hpp"
#include "tokens_json.hpp"

#include <atomic>
#include <memory>
#include <new>
#include <stdexcept>

namespace {

using namespace tokens;

constexpr const char* NAME = "harness.core.kernels._native.tokens";

struct Tokens {
  std::unique_ptr<Reader> reader;
  std::atomic_flag busy = ATOMIC_FLAG_INIT;
};

void destroy(PyObject* capsule) {
  delete static_cast<Tokens*>(PyCapsule_GetPointer(capsule, NAME));
}

// The reader in a capsule, used by nobody else as long as this lives; null with an error set.
class Held {
 public:
  explicit Held(PyObject* capsule)
      : tokens_(static_cast<Tokens*>(PyCapsule_GetPointer(capsule, NAME))) {
    if (tokens_ != nullptr && tokens_->busy.test_and_set()) {
      tokens_ = nullptr;
      PyErr_SetString(PyExc_RuntimeError, "this tokenizer runs in another thread");
    }
  }
  ~Held() {
    if (tokens_ != nullptr) tokens_->busy.clear();
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  Reader* operator->() const { return tokens_->reader.get(); }
  explicit operator bool() const { return tokens_ != nullptr; }

 private:
  Tokens* tokens_;
};

PyObject* tokens_new(PyObject*, PyObject* args) {
  int format;
  if (!PyArg_ParseTuple(args, "i", &format)) return nullptr;
  if (format != 0 && format != 1) {
    PyErr_SetString(PyExc_ValueError, "format must be 0 or 1");
    return nullptr;
  }
  std::unique_ptr<Tokens> made;
  try {
    made = std::make_unique<Tokens>();
    if (format == 0) {
      made->reader = std::make_unique<JsonReader>();
    } else {
      made->reader = std::make_unique<EdnReader>();
    }
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  }
  PyObject* capsule = PyCapsule_New(made.get(), NAME, destroy);
  if (capsule != nullptr) made.release();
  return capsule;
}

// The columns as bytes; they are empty then, ready for the next ones.
PyObject* taken(Reader& reader) {
  PyObject* columns = PyTuple_New(COLUMNS);
  if (columns == nullptr) return nullptr;
  for (int i = 0; i < COLUMNS; ++i) {
    PyObject* bytes = bytes_of(reader.columns[i]);
    if (bytes == nullptr || PyTuple_SetItem(columns, i, bytes) < 0) {
      Py_DECREF(columns);
      return nullptr;
    }
    reader.columns[i].clear();
  }
  return columns;
}

PyObject* tokens_feed(PyObject*, PyObject* args) {
  PyObject* capsule;
  Py_buffer data;
  int last;
  if (!PyArg_ParseTuple(args, "Oy*p", &capsule, &data, &last)) return nullptr;
  PyObject* result = nullptr;
  {
    Held reader(capsule);
    if (reader) {
      const char* const start = static_cast<const char*>(data.buf);
      const char* begin = start;
      Found found = Found::UNUSUAL;
      bool memory = true;
      Py_BEGIN_ALLOW_THREADS
      try {
        if (!reader->failed) found = reader->feed(begin, start + data.len, last != 0);
      } catch (const std::bad_alloc&) {
        memory = false;
      } catch (const std::length_error&) {
        memory = false;
      }
      // The columns may be of unequal length, or hold half of what was read.
      if (found != Found::USUAL) reader->failed = true;
      Py_END_ALLOW_THREADS
      if (!memory) {
        PyErr_NoMemory();
      } else if (found != Found::USUAL) {
        result = Py_NewRef(Py_None);
      } else {
        PyObject* columns = taken(*reader.operator->());
        PyObject* errors = columns == nullptr ? nullptr : bytes_of(reader->errors);
        reader->errors.clear();
        if (errors == nullptr) {
          reader->failed = true;
          Py_XDECREF(columns);
        } else {
          result = Py_BuildValue("nNN", static_cast<Py_ssize_t>(begin - start), columns, errors);
        }
      }
    }
  }
  PyBuffer_Release(&data);
  return result;
}

PyObject* table(Reader& reader, Which which) {
  Table& one = reader.tables[which];
  const std::vector<i32>& others = reader.others(which);
  const std::vector<i32>& deferred = one.deferred_codes();
  const auto count = static_cast<Py_ssize_t>(one.count());
  std::string text;
  std::vector<i64> sizes;
  try {
    for (i32 code : others) {
      const Span span = one.span(code);
      text.append(span.begin, span.size());
      text.push_back('\n');
    }
    sizes.reserve(deferred.size());
    for (i32 code : deferred) sizes.push_back(static_cast<i64>(one.span(code).size()));
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  }
  one.forget();
  PyObject* codes = bytes_of(others);
  PyObject* deferred_codes = bytes_of(deferred);
  PyObject* deferred_sizes = bytes_of(sizes);
  std::vector<i64>().swap(sizes);
  PyObject* json = joined(reader.json(which));
  PyObject* blocks = given(one.deferred_text);
  return Py_BuildValue("nNy#N(NNN)", count, json, text.data(),
                       static_cast<Py_ssize_t>(text.size()), codes, deferred_codes, deferred_sizes,
                       blocks);
}

PyObject* tokens_tables(PyObject*, PyObject* args) {
  PyObject* capsule;
  if (!PyArg_ParseTuple(args, "O", &capsule)) return nullptr;
  Held reader(capsule);
  if (!reader) return nullptr;
  if (reader->failed) {
    PyErr_SetString(PyExc_ValueError, "this tokenizer gave up, or its tables were taken");
    return nullptr;
  }
  reader->failed = true;
  PyObject* tables = PyTuple_New(TABLES);
  if (tables == nullptr) return nullptr;
  for (int i = 0; i < TABLES; ++i) {
    PyObject* one = table(*reader.operator->(), static_cast<Which>(i));
    if (one == nullptr || PyTuple_SetItem(tables, i, one) < 0) {
      Py_DECREF(tables);
      return nullptr;
    }
  }
  return tables;
}

}  // namespace

PyMethodDef tokens_methods[] = {
    {"tokens_new", tokens_new, METH_VARARGS, "Begin to read a history."},
    {"tokens_feed", tokens_feed, METH_VARARGS, "Read some bytes of a history."},
    {"tokens_tables", tokens_tables, METH_VARARGS, "What the codes of a history mean."},
    {nullptr, nullptr, 0, nullptr}};

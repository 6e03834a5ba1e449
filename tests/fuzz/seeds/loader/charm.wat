;; The least that fits the world `charm`, with WASI.
(component
  (import "wasi:io/error@0.2.6" (instance (export "error" (type (sub resource)))))
  (import "wasi:clocks/wall-clock@0.2.12" (instance
    (type $t (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $t)))
    (export "now" (func (result $datetime)))))
  (import "commontools:background/cells@0.1.0" (instance
    (export "keys" (func (result (list string))))))
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "handle") (param i32 i32) (result i32) local.get 1))
  (core instance $m (instantiate $m))
  (func $handle (param "event" string) (result u32)
    (canon lift (core func $m "handle") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
  (export "setup" (func $handle))
  (export "page" (func $handle))
  (export "handle" (func $handle)))

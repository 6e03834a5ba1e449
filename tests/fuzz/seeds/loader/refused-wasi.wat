;; Fits the world `charm`, but for an interface that is not part of WASI here.
(component
  (import "wasi:nn/graph@0.2.0" (instance))
  (core module $m (func (export "f")))
  (core instance $m (instantiate $m))
  (func $f (canon lift (core func $m "f")))
  (export "setup" (func $f))
  (export "handle" (func $f)))

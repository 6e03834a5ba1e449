;; Fits the world `charm`, but for a function that is imported.
(component
  (import "loose" (func))
  (core module $m (func (export "f")))
  (core instance $m (instantiate $m))
  (func $f (canon lift (core func $m "f")))
  (export "setup" (func $f))
  (export "handle" (func $f)))

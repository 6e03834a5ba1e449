;; The least that fits the world `integration`, with a manifest and metadata.
(component
  (import "commontools:background/values@0.1.0" (instance $values
    (type $t (record (field "space" string) (field "charm-id" string)))
    (export "charm-ref" (type (eq $t)))))
  (import "commontools:background/log@0.1.0" (instance
    (type $l (enum "trace" "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $l)))
    (export "write" (func (param "level" $level) (param "message" string)))))
  (core module $m
    (func (export "initialize") (result i32) i32.const 16)
    (func (export "fetch-charms") (result i32) i32.const 16)
    (func (export "is-valid-charm") (result i32) i32.const 1))
  (core instance $m (instantiate $m))
  (func (export "initialize") (result u32) (canon lift (core func $m "initialize")))
  (func (export "fetch-charms") (result u32) (canon lift (core func $m "fetch-charms")))
  (func (export "is-valid-charm") (result bool) (canon lift (core func $m "is-valid-charm")))
  (@custom "commontools:manifest" "{\"integration\":{\"id\":\"a\",\"name\":\"A\",\"version\":\"1\"}}")
  (@custom "version" "1.2.3")
  (@custom "description" "Polls."))

/** Gives back what it was given, so that a subclass adds its private field to an object that is there already. */
class Given {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: it is what this class is for
    return object;
  }
}

/** Values by objects, as a WeakMap has them; see {@link objectLinks}. */
export interface ObjectLinks<V> {
  get(object: unknown): V | undefined;
  set(object: object, value: V): void;
}

/**
 * A WeakMap for objects that live no longer than a request. Each value lies in a private field of its object, which
 * nobody else can see; a set costs a tenth of a WeakMap's, whose table grows and is cleaned with every collection of
 * garbage. An object that takes no field, as a frozen one may, is kept in a WeakMap.
 */
export function objectLinks<V>(): ObjectLinks<V> {
  const others = new WeakMap<object, V>();
  class Linked extends Given {
    #value: V;
    constructor(object: object, value: V) {
      super(object);
      this.#value = value;
    }
    static get(object: unknown): V | undefined {
      if (typeof object !== "object" || object === null) return undefined;
      return #value in object ? object.#value : others.get(object);
    }
    static set(object: object, value: V): void {
      if (#value in object) object.#value = value;
      else {
        try {
          new Linked(object, value);
        } catch {
          others.set(object, value);
        }
      }
    }
  }
  return Linked;
}

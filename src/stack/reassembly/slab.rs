//! A fixed number of places, and lists through them: nothing here asks the heap after construction.

/// No place.
pub(super) const NIL: u32 = u32::MAX;

/// Places for up to a fixed number of values.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    /// `size` empty places.
    pub(super) fn new(size: u32) -> Self {
        Self { places: (0..size).map(|_| None).collect(), free: (0..size).rev().collect() }
    }

    /// Puts `value` into a free place.
    ///
    /// # Errors
    /// There is none: the value comes back.
    pub(super) fn insert(&mut self, value: T) -> Result<u32, T> {
        let Some(at) = self.free.pop() else { return Err(value) };
        match self.places.get_mut(at as usize) {
            Some(place) => {
                *place = Some(value);
                Ok(at)
            }
            None => Err(value),
        }
    }

    /// Takes the value at `at` out.
    pub(super) fn remove(&mut self, at: u32) -> Option<T> {
        let value = self.places.get_mut(at as usize)?.take()?;
        // NOTE(push): there was room for every place from the start.
        self.free.push(at);
        Some(value)
    }

    pub(super) fn get(&self, at: u32) -> Option<&T> {
        self.places.get(at as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.places.get_mut(at as usize)?.as_mut()
    }

    /// Values in it.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

/// The neighbours of a value in one list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    pub(super) prev: u32,
    pub(super) next: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self { prev: NIL, next: NIL }
    }
}

/// A list of values in a slab, in the order in which they were added.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) first: u32,
    pub(super) last: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NIL, last: NIL }
    }
}

impl List {
    /// Adds the value at `at` at the end. `links` picks which of its links are meant.
    pub(super) fn push<T>(&mut self, slab: &mut Slab<T>, at: u32, links: fn(&mut T) -> &mut Links) {
        if let Some(value) = slab.get_mut(at) {
            *links(value) = Links { prev: self.last, next: NIL };
        }
        match slab.get_mut(self.last) {
            Some(last) => links(last).next = at,
            None => self.first = at,
        }
        self.last = at;
    }

    /// Takes the value with the links `own` out of the list; it may have left the slab already.
    pub(super) fn unlink<T>(&mut self, slab: &mut Slab<T>, own: Links, links: fn(&mut T) -> &mut Links) {
        match slab.get_mut(own.prev) {
            Some(prev) => links(prev).next = own.next,
            None => self.first = own.next,
        }
        match slab.get_mut(own.next) {
            Some(next) => links(next).prev = own.prev,
            None => self.last = own.prev,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Value(u32, Links);

    fn links(value: &mut Value) -> &mut Links {
        &mut value.1
    }

    fn contents(list: List, slab: &Slab<Value>) -> Vec<u32> {
        let next = |at: &u32| slab.get(*at).map(|value| value.1.next);
        core::iter::successors(Some(list.first), next)
            .filter_map(|at| slab.get(at).map(|value| value.0))
            .collect()
    }

    proptest! {
        /// Some come, some go from anywhere: the order of the rest stays.
        #[test]
        fn a_list_keeps_its_order(steps in proptest::collection::vec((any::<bool>(), 0usize..8), 0..60)) {
            let (mut slab, mut list, mut model) = (Slab::new(5), List::default(), Vec::new());
            for (number, (comes, which)) in (0..).zip(steps) {
                if comes {
                    match slab.insert(Value(number, Links::default())) {
                        Ok(at) => {
                            list.push(&mut slab, at, links);
                            model.push((number, at));
                        }
                        Err(_) => prop_assert_eq!(model.len(), 5),
                    }
                } else if !model.is_empty() {
                    let (_, at) = model.remove(which % model.len());
                    let gone = slab.remove(at).unwrap();
                    list.unlink(&mut slab, gone.1, links);
                }
                prop_assert_eq!(contents(list, &slab), model.iter().map(|m| m.0).collect::<Vec<_>>());
                prop_assert_eq!(slab.len(), model.len());
            }
        }
    }
}

use std::ops::{Deref, DerefMut};
use std::slice;
use std::vec;

/// A list that holds one element without an allocation, since most lists of conditions and orders
/// have one.
///
/// It is a slice, and grows like a `Vec`.
#[derive(Clone, Debug)]
pub struct List<T>(Inner<T>);

#[derive(Clone, Debug)]
enum Inner<T> {
    One(T),
    Any(Vec<T>),
}

impl<T> List<T> {
    /// Adds an element at the end.
    #[inline]
    pub fn push(&mut self, element: T) {
        match &mut self.0 {
            Inner::Any(list) if list.capacity() == 0 => self.0 = Inner::One(element),
            Inner::Any(list) => list.push(element),
            Inner::One(_) => self.second(element),
        }
    }

    #[cold]
    fn second(&mut self, element: T) {
        let mut list = Vec::with_capacity(4);
        list.extend(std::mem::take(self));
        list.push(element);
        self.0 = Inner::Any(list);
    }

    /// Leaves nothing in it.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl<T> Default for List<T> {
    #[inline]
    fn default() -> Self {
        Self(Inner::Any(Vec::new()))
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.0 {
            Inner::One(element) => slice::from_ref(element),
            Inner::Any(list) => list,
        }
    }
}

impl<T> DerefMut for List<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Inner::One(element) => slice::from_mut(element),
            Inner::Any(list) => list,
        }
    }
}

impl<T> From<T> for List<T> {
    #[inline]
    fn from(element: T) -> Self {
        Self(Inner::One(element))
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(list: Vec<T>) -> Self {
        Self(Inner::Any(list))
    }
}

impl<T> From<List<T>> for Vec<T> {
    fn from(list: List<T>) -> Self {
        match list.0 {
            Inner::One(element) => vec![element],
            Inner::Any(list) => list,
        }
    }
}

impl<T> Extend<T> for List<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        for element in elements {
            self.push(element);
        }
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut list = Self::default();
        list.extend(elements);
        list
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        Vec::from(self).into_iter()
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut List<T> {
    type Item = &'a mut T;
    type IntoIter = slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_none_one_and_several_in_their_order() {
        let mut list = List::default();
        assert!(list.is_empty());
        for number in 1..=5 {
            list.push(number);
            assert_eq!(*list, Vec::from_iter(1..=number));
        }
        list.iter_mut().for_each(|number| *number *= 2);
        assert_eq!(Vec::from(list.clone()), [2, 4, 6, 8, 10]);
        list.clear();
        list.extend([7]);
        assert_eq!(list.into_iter().collect::<List<_>>().to_vec(), [7]);
    }
}

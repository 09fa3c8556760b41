//! Which flow a packet belongs to, and of which size it is: flows take turns, and so do the sizes, round by round.

use super::traffic::Traffic;

/// What a packet's number says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Place {
    /// Its flow.
    pub(super) flow: u32,
    /// Its template: one for each destination and size, the sizes of one destination together.
    pub(super) template: usize,
    /// Its source port.
    pub(super) port: u16,
    destination: u32,
    size: u32,
}

/// All places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    flows: u32,
    destinations: u32,
    sizes: u32,
    first_port: u16,
}

impl Places {
    /// Those of `traffic`.
    pub(super) fn of(traffic: &Traffic) -> Self {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).max(1);
        Self {
            flows: traffic.flows.max(1),
            destinations: count(traffic.destinations.len()),
            sizes: count(traffic.sizes.len()),
            first_port: traffic.source_port,
        }
    }

    /// That of the packet `number`.
    #[expect(clippy::cast_possible_truncation, reason = "remainders of numbers of 32 bits")]
    pub(super) fn at(&self, number: u64) -> Place {
        let (round, flow) = (number / u64::from(self.flows), (number % u64::from(self.flows)) as u32);
        let size = (round % u64::from(self.sizes)) as u32;
        let (nth, destination) = (flow / self.destinations, flow % self.destinations);
        // Ports were counted.
        let port = self.first_port.saturating_add(u16::try_from(nth).unwrap_or(u16::MAX));
        Place { flow, template: self.template(destination, size), port, destination, size }
    }

    /// That of the packet after the one whose place is `place`: what [`at`](Self::at) says, without a division.
    #[inline]
    pub(super) fn after(&self, place: Place) -> Place {
        let Place { flow, template, port, destination, size } = place;
        if flow + 1 == self.flows {
            let size = if size + 1 == self.sizes { 0 } else { size + 1 };
            Place { flow: 0, template: size as usize, port: self.first_port, destination: 0, size }
        } else if destination + 1 == self.destinations {
            Place {
                flow: flow + 1,
                template: size as usize,
                port: port.wrapping_add(1),
                destination: 0,
                size,
            }
        } else {
            let template = template + self.sizes as usize;
            Place { flow: flow + 1, template, port, destination: destination + 1, size }
        }
    }

    const fn template(&self, destination: u32, size: u32) -> usize {
        destination as usize * self.sizes as usize + size as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_after_the_other_they_are_where_their_numbers_say() {
        for (flows, destinations, sizes) in [(1, 1, 1), (7, 3, 2), (4096, 1, 3), (6, 3, 1), (5, 5, 4)] {
            let places = Places { flows, destinations, sizes, first_port: 1024 };
            let mut place = places.at(0);
            for number in 0..3 * u64::from(flows * sizes) {
                assert_eq!(place, places.at(number), "{number} of {places:?}");
                place = places.after(place);
            }
        }
    }

    #[test]
    fn each_flow_has_a_destination_and_a_port_of_its_own() {
        let places = Places { flows: 5, destinations: 2, sizes: 2, first_port: 9 };
        let seen: Vec<_> = (0..7).map(|n| places.at(n)).map(|p| (p.flow, p.template, p.port)).collect();
        assert_eq!(seen, [(0, 0, 9), (1, 2, 9), (2, 0, 10), (3, 2, 10), (4, 0, 11), (0, 1, 9), (1, 3, 9)]);
    }
}

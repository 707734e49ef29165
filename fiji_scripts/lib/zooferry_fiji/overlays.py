"""Overlays that go along with a result: shapes stay on their structures and on their planes."""


def moved_position(position, kept):
    """Where a shape at (c, z, t) lies in the result; 0 along an axis: on all of them. Pure.

    Parameters
    ----------
    position : sequence of int
        C Z T, from 1.
    kept : sequence of list of int
        The C Z T positions, from 1, of the source that the result has; one that it has several times counts in the
        middle.

    Returns
    -------
    tuple of int, or None
        C Z T in the result; None if the plane is not there.
    """
    found = []
    for place, places in zip(position, kept):
        if place and place not in places:
            return None
        found.append(places.index(place) + places.count(place) // 2 + 1 if place else 0)
    return tuple(found)


def moved_overlay(source, kept, ratios, region):
    """A copy of the source's overlay for a result.

    Parameters
    ----------
    source : ImagePlus
    kept : sequence of list of int
        The C Z T positions, from 1, of the source that the result has.
    ratios : sequence of float
        Pixels of the result for one of the source along x and y.
    region : (int, int, int, int) or None
        x, y, width, height in pixels of the source; shapes outside are left out.

    Returns
    -------
    ij.gui.Overlay
    """
    from java.awt import Rectangle

    overlay = source.getOverlay().create()
    one_plane = all(len(places) == 1 for places in kept)
    for shape in source.getOverlay().toArray():
        place = moved_position(_position(shape, source), kept)
        if place is None or (region and not shape.getBounds().intersects(Rectangle(*region))):
            continue
        overlay.add(_moved(shape, (0, 0, 0) if one_plane else place, ratios, region))
    return overlay


def _position(shape, source):
    # C Z T from 1; a plain position counts the planes of the stack
    if shape.hasHyperStackPosition():
        return shape.getCPosition(), shape.getZPosition(), shape.getTPosition()
    if 0 < shape.getPosition() <= source.getStackSize():
        return tuple(source.convertIndexToPosition(shape.getPosition()))
    return 0, 0, 0


def _moved(shape, place, ratios, region):
    from ij.plugin import RoiScaler

    copy = shape.clone()
    if region:
        bounds = copy.getFloatBounds()
        copy.setLocation(bounds.x - region[0], bounds.y - region[1])
    if tuple(ratios) != (1.0, 1.0):
        copy = RoiScaler.scale(copy, ratios[0], ratios[1], False)
    plain = len([number for number in place if number]) == 0
    if plain:
        copy.setPosition(0)
    else:
        copy.setPosition(*place)
    return copy

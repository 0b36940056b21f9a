"""The words of the Core Business Vocabulary that events use, and their three spellings.

A word is bare in JSON (`shipping`), a URN in older files (`urn:epcglobal:cbv:bizstep:shipping`), and a web address in
linked data (`https://ref.gs1.org/cbv/BizStep-shipping`). All three mean the same: we keep the bare one.

Source: CBV 2.0 §7 (words of each vocabulary) and §8 (their URIs). These are facts of the standard.
"""

import difflib
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One list of words. name: for people. bare: any spelling of a word to its bare form."""

    name: str
    words: frozenset[str]
    bare: dict[str, str]

    def normalise(self, text: str) -> str:
        """Return the bare word for any spelling of a known one; other text as it is."""
        return self.bare.get(text, text)

    def nearest(self, text: str) -> str | None:
        """Return the known word that looks most like `text`, or None if none does."""
        tail = text.rpartition(":")[2].rpartition("/")[2].rpartition("-")[2][:64]
        found = difflib.get_close_matches(tail, sorted(self.words), n=1, cutoff=0.6)
        return found[0] if found else None


WEB_STARTS: Final = tuple(
    f"{scheme}://{host}/cbv/" for scheme in ("https", "http") for host in ("ref.gs1.org", "ns.gs1.org")
)
URN_START: Final = "urn:epcglobal:cbv:"


def _vocabulary(name: str, urn: str, web: str, words: str) -> Vocabulary:
    known = words.split()
    bare = {word: word for word in known}
    for word in known:
        bare[f"{URN_START}{urn}:{word}"] = word
        for start in WEB_STARTS:
            bare[f"{start}{web}-{word}"] = word
    return Vocabulary(name, frozenset(known), bare)


STEPS: Final = _vocabulary(
    "business step",
    "bizstep",
    "BizStep",
    """accepting arriving assembling collecting commissioning consigning creating_class_instance cycle_counting
    decommissioning departing destroying disassembling dispensing encoding entering_exiting holding inspecting
    installing killing loading other packing picking receiving removing repackaging repairing replacing reserving
    retail_selling sampling sensor_reporting shipping staging_outbound stock_taking stocking storing transporting
    unloading unpacking void_shipping""",
)
DISPOSITIONS: Final = _vocabulary(
    "disposition",
    "disp",
    "Disp",
    """active available completeness_inferred completeness_verified conformant container_closed container_open damaged
    destroyed dispensed disposed encoded expired in_progress in_transit inactive mismatch_class mismatch_instance
    mismatch_quantity needs_replacement no_pedigree_match non_conformant non_sellable_other partially_dispensed recalled
    reserved retail_sold returned sellable_accessible sellable_not_accessible stolen unavailable unknown""",
)
DOCUMENT_TYPES: Final = _vocabulary(
    "business transaction type",
    "btt",
    "BTT",
    "bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt",
)
PARTY_TYPES: Final = _vocabulary("source or destination type", "sdt", "SDT", "owning_party possessing_party location")
ERROR_REASONS: Final = _vocabulary("error reason", "er", "ER", "did_not_occur incorrect_data")
COMPONENTS: Final = _vocabulary(
    "sensor component",
    "comp",
    "Comp",
    """x y z axial_distance azimuth height spherical_radius polar_angle elevation_angle easting northing latitude
    longitude altitude""",
)

_MEASUREMENT_WORDS: Final = """
    AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Altitude AmountOfSubstance
    AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum AngularVelocity Area Capacitance
    Conductance Conductivity Count Density Dimensionless DoseEquivalent DoseEquivalentRate DynamicViscosity
    ElectricCharge ElectricCurrent ElectricCurrentDensity ElectricFieldStrength Energy Exposure Force Frequency
    Illuminance Inductance Irradiance KinematicViscosity Length LinearMomentum Luminance LuminousFlux
    LuminousIntensity MagneticFlux MagneticFluxDensity MagneticVectorPotential Mass MassConcentration
    MassFlowRate MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy MolarMass MolarVolume Power
    Pressure RadiantFlux RadiantIntensity Radioactivity RelativeHumidity Resistance Resistivity SolidAngle
    SpecificVolume Speed SurfaceDensity SurfaceTension Temperature Time Torque Voltage Volume VolumeFlowRate
    VolumeFraction VolumetricFlux Wavenumber
"""
MEASUREMENTS: Final = frozenset(_MEASUREMENT_WORDS.split())
ALERTS: Final = frozenset({"ALARM_CONDITION", "ERROR_CONDITION"})

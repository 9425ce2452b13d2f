//! One visual item, still or video, from pictures to units of patch rows.

use super::config::PreprocessConfig;
use super::patches::Normaliser;
use super::{Picture, PictureError, PixelLimits, VisualUnit, resize_bicubic};

/// The preprocessing of one model.
#[derive(Clone, Debug)]
pub struct Preprocessor {
    config: PreprocessConfig,
    normaliser: Normaliser,
}

impl Preprocessor {
    /// Prepares the tables.
    pub fn new(config: &PreprocessConfig) -> Self {
        Self { config: config.clone(), normaliser: Normaliser::new(config) }
    }

    /// The unit of a still picture, which is fused with itself.
    ///
    /// # Errors
    /// [`PictureError::NoSize`].
    pub fn still(&self, picture: &Picture) -> Result<VisualUnit, PictureError> {
        self.unit(&[picture], self.config.pixel_limits(1))
    }

    /// The units of a video or of an interleaved item: one for each pair of pictures. All pictures of the item share its
    /// budget, so longer videos get smaller pictures. A single picture is handled as a still.
    ///
    /// # Errors
    /// [`PictureError::NotPaired`], [`PictureError::PairDiffers`] or [`PictureError::NoSize`].
    pub fn video(&self, pictures: &[Picture]) -> Result<Vec<VisualUnit>, PictureError> {
        if pictures.is_empty() || (pictures.len() > 1 && !pictures.len().is_multiple_of(2)) {
            return Err(PictureError::NotPaired { found: pictures.len() });
        }
        let limits = self.config.pixel_limits(pictures.len());
        let unit = |(index, pair): (usize, &[Picture])| {
            self.unit(&pair.iter().collect::<Vec<_>>(), limits).map_err(|error| match error {
                PictureError::PairDiffers { first_size, second_size, .. } => {
                    PictureError::PairDiffers { first: 2 * index, second: 2 * index + 1, first_size, second_size }
                }
                other => other,
            })
        };
        pictures.chunks(2).enumerate().map(unit).collect()
    }

    /// One unit of an item of `pictures` pictures in all, so that a long clip need not lie in memory at once.
    ///
    /// # Errors
    /// [`PictureError::PairDiffers`] or [`PictureError::NoSize`].
    pub fn pair(&self, first: &Picture, second: &Picture, pictures: usize) -> Result<VisualUnit, PictureError> {
        self.unit(&[first, second], self.config.pixel_limits(pictures))
    }

    /// The unit of a live chunk: one or two pictures, at most `patches_max` patches whatever the rest of the session
    /// holds, because what the language model has seen of a session cannot shrink later.
    ///
    /// # Errors
    /// [`PictureError::PairDiffers`] or [`PictureError::NoSize`].
    ///
    /// # Panics
    /// When there are not one or two pictures.
    pub fn live(&self, pictures: &[&Picture], patches_max: u64) -> Result<VisualUnit, PictureError> {
        assert!((1..=2).contains(&pictures.len()), "a live unit of {} pictures", pictures.len());
        let limits = self.config.pixel_limits(pictures.len());
        let cap = patches_max * u64::from(self.config.patch_size).pow(2);
        self.unit(pictures, PixelLimits { min: limits.min.min(cap), max: limits.max.min(cap) })
    }

    fn unit(&self, pictures: &[&Picture], limits: PixelLimits) -> Result<VisualUnit, PictureError> {
        let resized = |picture: &Picture| {
            let [height, width] = self.config.size_rule().target(picture.height(), picture.width(), limits)?;
            Ok(resize_bicubic(picture, height, width))
        };
        let first = resized(pictures[0])?;
        let patch = self.config.patch_size;
        let Some(second) = pictures.get(1) else {
            return Ok(self.normaliser.unit([&first, &first], patch));
        };
        let second = resized(second)?;
        let size = |p: &Picture| [p.height(), p.width()];
        if size(&first) != size(&second) {
            return Err(PictureError::PairDiffers { first: 0, second: 1, first_size: size(&first), second_size: size(&second) });
        }
        Ok(self.normaliser.unit([&first, &second], patch))
    }
}
